"""Trains a digit classifier with tf.layers; logs summaries, keeps checkpoints, and goes on from the last one.

Usage:
    python layers_flags_saver.py --train_dir=train --max_steps=20
"""
from __future__ import absolute_import
from __future__ import division
from __future__ import print_function

import os

import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

flags = tf.app.flags
FLAGS = flags.FLAGS
flags.DEFINE_string('data_dir', 'MNIST_data', 'Where the digits are.')
flags.DEFINE_string('train_dir', 'train', 'Where checkpoints and summaries go.')
flags.DEFINE_integer('max_steps', 20, 'Number of batches of this run.')
flags.DEFINE_integer('batch_size', 50, 'Digits in a batch.')
flags.DEFINE_float('learning_rate', 0.05, 'The rate at the first step.')
flags.DEFINE_boolean('batch_norm', True, 'Normalise after the first layer.')


def inference(images, is_training):
    net = tf.reshape(images, [-1, 28, 28, 1])
    with tf.variable_scope('conv1'):
        net = tf.layers.conv2d(net, 8, 5, strides=2, padding='same', use_bias=not FLAGS.batch_norm, name='conv')
        if FLAGS.batch_norm:
            net = tf.layers.batch_normalization(net, momentum=0.9, training=is_training)
        net = tf.nn.relu(net)
        tf.summary.histogram('activations', net)
    net = tf.layers.max_pooling2d(net, 2, 2)
    net = tf.layers.flatten(net)
    net = tf.layers.dense(net, 32, activation=tf.nn.tanh, kernel_regularizer=tf.nn.l2_loss, name='hidden')
    net = tf.layers.dropout(net, rate=0.2, training=is_training)
    return tf.layers.dense(net, 10, name='logits')


def main(_):
    tf.logging.set_verbosity(tf.logging.ERROR)
    digits = input_data.read_data_sets(FLAGS.data_dir, validation_size=200, seed=5)
    graph = tf.Graph()
    with graph.as_default():
        tf.set_random_seed(2017)
        images = tf.placeholder(tf.float32, [None, 784], name='images')
        labels = tf.placeholder(tf.int64, [None], name='labels')
        is_training = tf.placeholder_with_default(False, [], name='is_training')
        logits = inference(images, is_training)
        tf.losses.sparse_softmax_cross_entropy(labels=labels, logits=logits)
        tf.losses.add_loss(1e-4 * tf.add_n(tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)))
        loss = tf.losses.get_total_loss(add_regularization_losses=False)
        global_step = tf.train.get_or_create_global_step()
        rate = tf.train.exponential_decay(FLAGS.learning_rate, global_step, 10, 0.9, staircase=True)
        with tf.control_dependencies(tf.get_collection(tf.GraphKeys.UPDATE_OPS)):
            train_op = tf.train.MomentumOptimizer(rate, 0.9).minimize(loss, global_step=global_step)
        correct = tf.nn.in_top_k(logits, labels, 1)
        accuracy = tf.reduce_mean(tf.to_float(correct))
        tf.summary.scalar('loss', loss)
        tf.summary.scalar('learning_rate', rate)
        summary_op = tf.summary.merge_all()
        saver = tf.train.Saver(max_to_keep=2)

        with tf.Session(graph=graph) as sess:
            writer = tf.summary.FileWriter(FLAGS.train_dir, sess.graph)
            sess.run(tf.global_variables_initializer())
            checkpoint = tf.train.latest_checkpoint(FLAGS.train_dir)
            if checkpoint:
                saver.restore(sess, checkpoint)
                print('Restored', os.path.basename(checkpoint))
            for _ in range(FLAGS.max_steps):
                batch = digits.train.next_batch(FLAGS.batch_size)
                feed = {images: batch[0], labels: batch[1], is_training: True}
                _, value, step = sess.run([train_op, loss, global_step], feed)
                if step % 5 == 0:
                    print('Step %d: loss = %.4f' % (step, value))
                    writer.add_summary(sess.run(summary_op, feed), step)
                    saver.save(sess, os.path.join(FLAGS.train_dir, 'model.ckpt'), global_step=global_step)
            writer.close()
            feed = {images: digits.validation.images, labels: digits.validation.labels}
            print('Validation: loss = %.4f, accuracy = %.3f' % tuple(sess.run([loss, accuracy], feed)))


if __name__ == '__main__':
    tf.app.run()
