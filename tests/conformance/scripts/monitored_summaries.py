"""Summaries of everything, decayed weights, moving averages, a monitored session with a hook that prints."""

# ruff: noqa (the style is that of its time)

import argparse, sys, tempfile
import numpy as np
import tensorflow as tf

FLAGS = None


def variable_summaries(var):
    with tf.name_scope("summaries"):
        mean = tf.reduce_mean(var)
        tf.summary.scalar("mean", mean)
        with tf.name_scope("stddev"):
            stddev = tf.sqrt(tf.reduce_mean(tf.square(var - mean)))
        tf.summary.scalar("stddev", stddev)
        tf.summary.scalar("max", tf.reduce_max(var))
        tf.summary.histogram("histogram", var)


def _variable_with_weight_decay(name, shape, stddev, wd):
    var = tf.get_variable(name, shape, initializer=tf.truncated_normal_initializer(stddev=stddev, dtype=tf.float32))
    if wd is not None:
        tf.add_to_collection("losses", tf.multiply(tf.nn.l2_loss(var), wd, name="weight_loss"))
    return var


def inference(images, keep):
    with tf.variable_scope("conv1") as scope:
        kernel = _variable_with_weight_decay("weights", [3, 3, 1, 6], 5e-2, None)
        conv = tf.nn.conv2d(images, kernel, [1, 1, 1, 1], padding="SAME")
        pre = tf.nn.bias_add(conv, tf.get_variable("biases", [6], initializer=tf.constant_initializer(0.0)))
        conv1 = tf.nn.relu(pre, name=scope.name)
        variable_summaries(kernel)
    pool1 = tf.nn.max_pool(conv1, ksize=[1, 3, 3, 1], strides=[1, 2, 2, 1], padding="SAME", name="pool1")
    norm1 = tf.nn.lrn(pool1, 4, bias=1.0, alpha=0.001 / 9.0, beta=0.75, name="norm1")
    with tf.variable_scope("local3") as scope:
        flat = tf.reshape(norm1, [-1, int(np.prod(norm1.get_shape()[1:].as_list()))])
        dim = flat.get_shape()[1].value
        w = _variable_with_weight_decay("weights", [dim, 10], 0.04, 0.004)
        local3 = tf.nn.relu(
            tf.matmul(flat, w) + tf.get_variable("biases", [10], initializer=tf.constant_initializer(0.1)), name=scope.name
        )
        tf.summary.scalar(local3.op.name + "/sparsity", tf.nn.zero_fraction(local3))
    return tf.add(
        tf.matmul(tf.nn.dropout(local3, keep), _variable_with_weight_decay("w", [10, 3], 0.1, 0.0)),
        0.0,
        name="softmax_linear",
    )


def main(_):
    rng = np.random.RandomState(0)
    X = rng.rand(20, 8, 8, 1)
    Y = rng.randint(0, 3, 20)
    with tf.Graph().as_default() as g:
        tf.set_random_seed(11)
        global_step = tf.train.get_or_create_global_step()
        images = tf.placeholder(tf.float32, [None, 8, 8, 1])
        labels = tf.placeholder(tf.int64, [None])
        keep = tf.placeholder(tf.float32)
        tf.assert_rank(images, 4)
        with tf.control_dependencies([tf.assert_less(labels, tf.constant(3, tf.int64))]):
            logits = inference(tf.identity(images), keep)
        ce = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits, name="ce"), name="cross_entropy"
        )
        tf.add_to_collection("losses", ce)
        total = tf.add_n(tf.get_collection("losses"), name="total_loss")
        loss_averages = tf.train.ExponentialMovingAverage(0.9, name="avg")
        avg_op = loss_averages.apply(tf.get_collection("losses") + [total])
        lr = tf.train.exponential_decay(0.1, global_step, 4, 0.5, staircase=True)
        tf.summary.scalar("lr", lr)
        with tf.control_dependencies([avg_op]):
            opt = tf.train.GradientDescentOptimizer(lr)
            grads = opt.compute_gradients(total)
        apply_op = opt.apply_gradients(grads, global_step=global_step)
        for grad, var in grads:
            if grad is not None:
                tf.summary.histogram(var.op.name + "/gradients", grad)
        ema = tf.train.ExponentialMovingAverage(0.999, global_step)
        vop = ema.apply(tf.trainable_variables())
        with tf.control_dependencies([apply_op, vop]):
            train_op = tf.no_op(name="train")
        top = tf.nn.in_top_k(logits, labels, 1)

        class LoggerHook(tf.train.SessionRunHook):
            def begin(self):
                self._step = -1

            def before_run(self, run_context):
                self._step += 1
                return tf.train.SessionRunArgs(total)

            def after_run(self, run_context, run_values):
                if self._step % 4 == 0:
                    print("step %d, loss = %.5f" % (self._step, run_values.results))

        folder = FLAGS.train_dir or tempfile.mkdtemp()
        with tf.train.MonitoredTrainingSession(
            checkpoint_dir=folder,
            hooks=[tf.train.StopAtStepHook(last_step=10), tf.train.NanTensorHook(total), LoggerHook()],
            save_checkpoint_secs=None,
            save_checkpoint_steps=5,
            save_summaries_steps=None,
            save_summaries_secs=None,
            log_step_count_steps=None,
            config=tf.ConfigProto(log_device_placement=False),
        ) as mon:
            while not mon.should_stop():
                mon.run(train_op, {images: X, labels: Y, keep: 1.0})
        saver = tf.train.Saver(ema.variables_to_restore())
        with tf.Session() as sess:
            saver.restore(sess, tf.train.latest_checkpoint(folder))
            coord = tf.train.Coordinator()
            threads = tf.train.start_queue_runners(sess=sess, coord=coord)
            print(
                "right",
                int(np.sum(sess.run(top, {images: X, labels: Y, keep: 1.0}))),
                "loss %.5f" % sess.run(total, {images: X, labels: Y, keep: 1.0}),
                "summaries",
                len(tf.get_collection(tf.GraphKeys.SUMMARIES)),
            )
            coord.request_stop()
            coord.join(threads)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--train_dir", type=str, default="")
    FLAGS, unparsed = parser.parse_known_args()
    tf.app.run(main=main, argv=[sys.argv[0]] + unparsed)
