"""Raw ops in the manner of collections of small examples: regression, nearest neighbours, k-means, autoencoders, a GAN."""

# ruff: noqa (the style is that of its time)

from __future__ import print_function, division
import numpy as np
import tensorflow as tf

rng = np.random.RandomState(0)
tf.set_random_seed(1)

# linear regression
X, Y = tf.placeholder("float"), tf.placeholder("float")
W = tf.Variable(0.3, name="weight")
b = tf.Variable(-0.1, name="bias")
pred = tf.add(tf.multiply(X, W), b)
n = 17
xs = rng.rand(n)
ys = 3 * xs + 1
cost = tf.reduce_sum(tf.pow(pred - Y, 2)) / (2 * n)
opt = tf.train.GradientDescentOptimizer(0.05).minimize(cost)
init = tf.global_variables_initializer()
with tf.Session() as sess:
    sess.run(init)
    for epoch in range(20):
        for x, y in zip(xs, ys):
            sess.run(opt, feed_dict={X: x, Y: y})
        if (epoch + 1) % 10 == 0:
            print(
                "linear",
                "%04d" % (epoch + 1),
                "cost=",
                "{:.9f}".format(sess.run(cost, feed_dict={X: xs, Y: ys})),
                "W=%.6f" % sess.run(W),
                "b=%.6f" % sess.run(b),
            )

# logistic regression with l2 and decayed rate
data = rng.rand(60, 12).astype("float32")
labels = np.eye(3)[rng.randint(0, 3, 60)]
x = tf.placeholder(tf.float32, [None, 12])
y = tf.placeholder(tf.float32, [None, 3])
W = tf.Variable(tf.zeros([12, 3]))
b = tf.Variable(tf.zeros([3]))
p = tf.nn.softmax(tf.matmul(x, W) + b)
cost = tf.reduce_mean(-tf.reduce_sum(y * tf.log(p), reduction_indices=1)) + 1e-3 * tf.nn.l2_loss(W)
step = tf.Variable(0, trainable=False)
rate = tf.train.exponential_decay(0.5, step, 5, 0.9, staircase=True)
opt = tf.train.GradientDescentOptimizer(rate).minimize(cost, global_step=step)
correct = tf.equal(tf.argmax(p, 1), tf.argmax(y, 1))
acc = tf.reduce_mean(tf.cast(correct, tf.float32))
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(20):
        _, c, r = sess.run([opt, cost, rate], feed_dict={x: data, y: labels})
    print("logistic loss %.6f rate %.6f acc %.4f" % (c, r, acc.eval({x: data, y: labels})))

# nearest neighbour
xtr = tf.placeholder("float", [None, 12])
xte = tf.placeholder("float", [12])
distance = tf.reduce_sum(tf.abs(tf.add(xtr, tf.negative(xte))), reduction_indices=1)
nearest = tf.arg_min(distance, 0)
with tf.Session() as sess:
    print("neighbours", [int(sess.run(nearest, {xtr: data[:40], xte: data[40 + i]})) for i in range(10)])

# k-means by hand
points = tf.constant(rng.randn(50, 2).astype(np.float32))
k = 3
cent = tf.Variable(tf.slice(points, [0, 0], [k, -1]))
assign = tf.argmin(tf.reduce_sum(tf.square(tf.subtract(tf.expand_dims(points, 0), tf.expand_dims(cent, 1))), 2), 0)
means = tf.concat(
    [
        tf.reduce_mean(tf.gather(points, tf.reshape(tf.where(tf.equal(assign, c)), [1, -1])), reduction_indices=[1])
        for c in range(k)
    ],
    0,
)
update = tf.assign(cent, means)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(5):
        _, c, a = sess.run([update, cent, assign])
    print("kmeans", np.bincount(a, minlength=k), "%.6f" % c.sum())

# denoising autoencoder
tf.reset_default_graph()
tf.set_random_seed(2)


def weights(shape):
    return tf.Variable(tf.truncated_normal(shape, stddev=0.1))


x = tf.placeholder(tf.float32, [None, 12])
noisy = x + 0.1 * tf.random_normal(tf.shape(x))
w1, b1 = weights([12, 6]), tf.Variable(tf.zeros([6]))
code = tf.nn.sigmoid(tf.matmul(noisy, w1) + b1)
out = tf.nn.sigmoid(tf.matmul(code, tf.transpose(w1)) + tf.Variable(tf.zeros([12])))
loss = tf.reduce_mean(tf.pow(x - out, 2))
train = tf.train.RMSPropOptimizer(0.01).minimize(loss)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(30):
        _, l = sess.run([train, loss], {x: data})
    print("autoencoder %.6f" % l)

# VAE
mu = tf.layers.dense(x, 2, name="mu")
logvar = tf.layers.dense(x, 2, name="logvar")
eps = tf.random_normal(tf.shape(logvar), dtype=tf.float32, mean=0.0, stddev=1.0, name="epsilon")
z = mu + tf.exp(logvar / 2) * eps
rec = tf.nn.sigmoid(tf.layers.dense(tf.nn.tanh(tf.layers.dense(z, 8)), 12))
enc_loss = -tf.reduce_sum(x * tf.log(1e-10 + rec) + (1 - x) * tf.log(1e-10 + 1 - rec), 1)
kl = -0.5 * tf.reduce_sum(1 + logvar - tf.square(mu) - tf.exp(logvar), 1)
loss = tf.reduce_mean(enc_loss + kl)
train = tf.train.AdamOptimizer(0.01).minimize(loss)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(30):
        _, l = sess.run([train, loss], {x: data})
    print("vae %.5f" % l)

# GAN
tf.reset_default_graph()
tf.set_random_seed(3)


def glorot(shape):
    return tf.random_normal(shape=shape, stddev=1.0 / tf.sqrt(shape[0] / 2.0))


V = {n: tf.Variable(glorot(s)) for n, s in [("g1", [4, 8]), ("g2", [8, 12]), ("d1", [12, 8]), ("d2", [8, 1])]}
B = {n: tf.Variable(tf.zeros([s])) for n, s in [("g1", 8), ("g2", 12), ("d1", 8), ("d2", 1)]}


def generator(z):
    return tf.nn.sigmoid(tf.matmul(tf.nn.relu(tf.matmul(z, V["g1"]) + B["g1"]), V["g2"]) + B["g2"])


def discriminator(x):
    return tf.nn.sigmoid(tf.add(tf.matmul(tf.nn.relu(tf.matmul(x, V["d1"]) + B["d1"]), V["d2"]), B["d2"]))


gi = tf.placeholder(tf.float32, shape=[None, 4])
di = tf.placeholder(tf.float32, shape=[None, 12])
fake = generator(gi)
dr, df = discriminator(di), discriminator(fake)
gl = -tf.reduce_mean(tf.log(df))
dl = -tf.reduce_mean(tf.log(dr) + tf.log(1.0 - df))
tg = tf.train.AdamOptimizer(learning_rate=0.01).minimize(gl, var_list=[V["g1"], V["g2"], B["g1"], B["g2"]])
td = tf.train.AdamOptimizer(learning_rate=0.01).minimize(dl, var_list=[V["d1"], V["d2"], B["d1"], B["d2"]])
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(20):
        zz = rng.uniform(-1.0, 1.0, size=[60, 4])
        sess.run(tg, {gi: zz})
        sess.run(td, {di: data, gi: zz})
        a, c = sess.run([gl, dl], {di: data, gi: zz})
    print("gan %.5f %.5f" % (a, c))
