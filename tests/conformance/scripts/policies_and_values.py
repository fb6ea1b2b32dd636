"""Reinforcement learning without an environment: gathered gradients, a target network, an actor and its critic."""

# ruff: noqa (the style is that of its time)

import numpy as np
import tensorflow as tf

rng = np.random.RandomState(0)


class Agent:
    def __init__(self, lr, s_size, a_size, h_size):
        self.state_in = tf.placeholder(shape=[None, s_size], dtype=tf.float32)
        hidden = tf.layers.dense(self.state_in, h_size, use_bias=False, activation=tf.nn.relu)
        self.output = tf.layers.dense(hidden, a_size, activation=tf.nn.softmax, use_bias=False)
        self.chosen_action = tf.argmax(self.output, 1)
        self.reward_holder = tf.placeholder(shape=[None], dtype=tf.float32)
        self.action_holder = tf.placeholder(shape=[None], dtype=tf.int32)
        self.indexes = tf.range(0, tf.shape(self.output)[0]) * tf.shape(self.output)[1] + self.action_holder
        self.responsible_outputs = tf.gather(tf.reshape(self.output, [-1]), self.indexes)
        self.loss = -tf.reduce_mean(tf.log(self.responsible_outputs) * self.reward_holder)
        tvars = tf.trainable_variables()
        self.gradient_holders = [tf.placeholder(tf.float32, name=str(idx) + "_holder") for idx, var in enumerate(tvars)]
        self.gradients = tf.gradients(self.loss, tvars)
        optimizer = tf.train.AdamOptimizer(learning_rate=lr)
        self.update_batch = optimizer.apply_gradients(zip(self.gradient_holders, tvars))


tf.reset_default_graph()
tf.set_random_seed(1)
agent = Agent(1e-2, 4, 2, 8)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    buf = sess.run(tf.trainable_variables())
    for ix, g in enumerate(buf):
        buf[ix] = g * 0
    for ep in range(6):
        s = rng.randn(7, 4)
        probs = sess.run(agent.output, {agent.state_in: s})
        a = [rng.choice(2, p=p.astype(np.float64) / p.sum(dtype=np.float64)) for p in probs]
        feed = {agent.reward_holder: rng.randn(7), agent.action_holder: a, agent.state_in: s}
        for idx, g in enumerate(sess.run(agent.gradients, feed)):
            buf[idx] += g
        if ep % 2 == 1:
            sess.run(agent.update_batch, dict(zip(agent.gradient_holders, buf)))
            for ix, g in enumerate(buf):
                buf[ix] = g * 0
    print("policy %.6f" % sess.run(agent.loss, feed), sess.run(agent.chosen_action, feed))

tf.reset_default_graph()
tf.set_random_seed(2)


def net(s, scope, reuse=False):
    with tf.variable_scope(scope, reuse=reuse):
        h = tf.layers.dense(s, 16, activation=tf.nn.relu, kernel_initializer=tf.random_normal_initializer(stddev=0.1))
        v = tf.layers.dense(h, 1, name="value")
        adv = tf.layers.dense(h, 3, name="adv")
        return v + adv - tf.reduce_mean(adv, axis=1, keepdims=True)


s = tf.placeholder(tf.float32, [None, 5], "s")
s2 = tf.placeholder(tf.float32, [None, 5], "s2")
a = tf.placeholder(tf.int32, [None])
r = tf.placeholder(tf.float32, [None])
done = tf.placeholder(tf.float32, [None])
q = net(s, "eval")
qt = net(s2, "target")
q2 = net(s2, "eval", reuse=True)
best = tf.argmax(q2, axis=1, output_type=tf.int32)
target = r + 0.9 * (1 - done) * tf.reduce_sum(qt * tf.one_hot(best, 3), 1)
chosen = tf.gather_nd(q, tf.stack([tf.range(tf.shape(a)[0]), a], axis=1))
td = tf.stop_gradient(target) - chosen
loss = tf.reduce_mean(tf.where(tf.abs(td) < 1.0, tf.square(td) * 0.5, tf.abs(td) - 0.5)) + 0 * tf.losses.huber_loss(
    target, chosen
)
t_vars = tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope="target")
e_vars = tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, scope="eval")
replace = [tf.assign(t, e) for t, e in zip(t_vars, e_vars)]
soft = tf.group(*[t.assign(0.9 * t + 0.1 * e) for t, e in zip(t_vars, e_vars)])
opt = tf.train.RMSPropOptimizer(0.005)
gvs = opt.compute_gradients(loss, var_list=tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, scope="eval"))
train = opt.apply_gradients([(tf.clip_by_norm(g, 10), v) for g, v in gvs])
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(20):
        if i % 5 == 0:
            sess.run(replace)
        sess.run(soft)
        f = {s: rng.randn(8, 5), s2: rng.randn(8, 5), a: rng.randint(0, 3, 8), r: rng.randn(8), done: rng.randint(0, 2, 8)}
        _, l = sess.run([train, loss], f)
    print("dqn %.6f" % l, sess.run(tf.argmax(q, 1), f))

tf.reset_default_graph()
tf.set_random_seed(4)
s = tf.placeholder(tf.float32, [None, 3])
a = tf.placeholder(tf.float32, [None, 1])
R = tf.placeholder(tf.float32, [None, 1])
with tf.variable_scope("actor"):
    h = tf.layers.dense(s, 8, tf.nn.relu6, kernel_initializer=tf.random_normal_initializer(0.0, 0.1))
    mu = 2 * tf.layers.dense(h, 1, tf.nn.tanh)
    sigma = tf.layers.dense(h, 1, tf.nn.softplus) + 1e-4
    logp = -0.5 * tf.square((a - mu) / sigma) - tf.log(sigma) - 0.5 * np.log(2 * np.pi)
    sampled = tf.clip_by_value(mu + sigma * tf.random_normal(tf.shape(mu)), -2, 2)
with tf.variable_scope("critic"):
    v = tf.layers.dense(tf.layers.dense(s, 8, tf.nn.relu6), 1)
adv = R - v
c_loss = tf.reduce_mean(tf.square(adv))
a_loss = -tf.reduce_mean(logp * tf.stop_gradient(adv) + 0.01 * tf.log(sigma))
ta = tf.train.AdamOptimizer(1e-3).minimize(a_loss, var_list=tf.trainable_variables("actor"))
tc = tf.train.AdamOptimizer(1e-2).minimize(c_loss, var_list=tf.trainable_variables("critic"))
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for i in range(10):
        st = rng.randn(6, 3)
        act = sess.run(sampled, {s: st})
        la, lc = sess.run([a_loss, c_loss], {s: st, a: act, R: rng.randn(6, 1)})
        sess.run([ta, tc], {s: st, a: act, R: rng.randn(6, 1)})
    print("actor %.5f critic %.5f" % (la, lc), "%.4f" % act.sum())
