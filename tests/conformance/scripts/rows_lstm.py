# An LSTM that reads a digit row by row: 28 time steps of 28 pixels.
import numpy as np
import tensorflow as tf
from tensorflow.contrib import rnn
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("./mnist", one_hot=True, validation_size=0, seed=0)
tf.set_random_seed(8)


class Config(object):
    n_input = 28
    n_steps = 28
    n_hidden = 24
    n_classes = 10
    batch_size = 32
    training_steps = 40
    lr = 0.01
    grad_clip = 5.


class RowReader(object):
    def __init__(self, config):
        self.config = config
        self.x = tf.placeholder("float", [None, config.n_steps, config.n_input])
        self.y = tf.placeholder("float", [None, config.n_classes])
        with tf.variable_scope("reader", initializer=tf.random_uniform_initializer(-0.3, 0.3)):
            steps = tf.unstack(self.x, config.n_steps, 1)
            cell = rnn.BasicLSTMCell(config.n_hidden, forget_bias=1.0)
            outputs, self.state = rnn.static_rnn(cell, steps, dtype=tf.float32)
            w = tf.get_variable("softmax_w", [config.n_hidden, config.n_classes])
            b = tf.get_variable("softmax_b", [config.n_classes], initializer=tf.constant_initializer(0.0))
            self.logits = tf.nn.xw_plus_b(outputs[-1], w, b)
        self.cost = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(logits=self.logits, labels=self.y))
        tvars = tf.trainable_variables()
        grads, self.norm = tf.clip_by_global_norm(tf.gradients(self.cost, tvars), config.grad_clip)
        self.lr = tf.Variable(config.lr, trainable=False)
        self.train_op = tf.train.RMSPropOptimizer(self.lr).apply_gradients(zip(grads, tvars))


model = RowReader(Config)
print([v.name for v in tf.trainable_variables()])
with tf.Session() as session:
    tf.global_variables_initializer().run()
    for step in range(Config.training_steps):
        session.run(tf.assign(model.lr, Config.lr * 0.95 ** step))
        batch_x, batch_y = mnist.train.next_batch(Config.batch_size)
        batch_x = batch_x.reshape((Config.batch_size, Config.n_steps, Config.n_input))
        cost, norm, _ = session.run([model.cost, model.norm, model.train_op], {model.x: batch_x, model.y: batch_y})
        if step % 8 == 0:
            print("step", step, "cost %.4f norm %.4f" % (cost, norm))
    test = mnist.test.images[:100].reshape((-1, Config.n_steps, Config.n_input))
    logits, state = session.run([model.logits, model.state], {model.x: test, model.y: mnist.test.labels[:100]})
    print("mean logit %.4f, cell %.4f" % (np.abs(logits).mean(), np.abs(state.c).mean()))
