"""Word vectors by sampled losses, letters by stacked cells with sampling, sequences read both ways."""

# ruff: noqa (the style is that of its time)

import collections, math, random
import numpy as np
import tensorflow as tf

random.seed(0)
np.random.seed(0)
text = ("the quick brown fox jumps over the lazy dog and the dog sleeps while the fox runs " * 20).split()
count = collections.Counter(text).most_common()
dictionary = {w: i for i, (w, _) in enumerate(count)}
data = [dictionary[w] for w in text]
vocabulary_size = len(count)
data_index = 0


def generate_batch(batch_size, num_skips, skip_window):
    global data_index
    batch = np.ndarray(shape=(batch_size), dtype=np.int32)
    labels = np.ndarray(shape=(batch_size, 1), dtype=np.int32)
    span = 2 * skip_window + 1
    buf = collections.deque(maxlen=span)
    for _ in range(span):
        buf.append(data[data_index])
        data_index = (data_index + 1) % len(data)
    for i in range(batch_size // num_skips):
        target = skip_window
        avoid = [skip_window]
        for j in range(num_skips):
            while target in avoid:
                target = random.randint(0, span - 1)
            avoid.append(target)
            batch[i * num_skips + j] = buf[skip_window]
            labels[i * num_skips + j, 0] = buf[target]
        buf.append(data[data_index])
        data_index = (data_index + 1) % len(data)
    return batch, labels


graph = tf.Graph()
with graph.as_default(), tf.device("/cpu:0"):
    tf.set_random_seed(3)
    train_inputs = tf.placeholder(tf.int32, shape=[16])
    train_labels = tf.placeholder(tf.int32, shape=[16, 1])
    valid = tf.constant(np.arange(5), dtype=tf.int32)
    embeddings = tf.Variable(tf.random_uniform([vocabulary_size, 8], -1.0, 1.0))
    embed = tf.nn.embedding_lookup(embeddings, train_inputs)
    nce_w = tf.Variable(tf.truncated_normal([vocabulary_size, 8], stddev=1.0 / math.sqrt(8)))
    nce_b = tf.Variable(tf.zeros([vocabulary_size]))
    loss = tf.reduce_mean(
        tf.nn.nce_loss(
            weights=nce_w, biases=nce_b, labels=train_labels, inputs=embed, num_sampled=6, num_classes=vocabulary_size
        )
    )
    loss2 = tf.reduce_mean(
        tf.nn.sampled_softmax_loss(
            weights=nce_w, biases=nce_b, labels=train_labels, inputs=embed, num_sampled=6, num_classes=vocabulary_size
        )
    )
    optimizer = tf.train.GradientDescentOptimizer(0.5).minimize(loss)
    opt2 = tf.train.AdagradOptimizer(0.5).minimize(loss2)
    norm = tf.sqrt(tf.reduce_sum(tf.square(embeddings), 1, keep_dims=True))
    normalized = embeddings / norm
    similarity = tf.matmul(tf.nn.embedding_lookup(normalized, valid), normalized, transpose_b=True)
    init = tf.global_variables_initializer()
with tf.Session(graph=graph) as session:
    init.run()
    total = 0
    for step in range(30):
        b, l = generate_batch(16, 2, 1)
        _, v = session.run([optimizer, loss], {train_inputs: b, train_labels: l})
        total += v
        _, v2 = session.run([opt2, loss2], {train_inputs: b, train_labels: l})
        total += v2
    print("word2vec loss %.4f" % (total / 60))
    sim = similarity.eval()
    print("sim %.4f" % sim.sum())
    print("emb %.4f" % normalized.eval().sum())

tf.reset_default_graph()
tf.set_random_seed(5)
chars = sorted(set("hello world"))
V = len(chars)
ids = np.array([chars.index(c) for c in "hello world" * 3])
x = tf.placeholder(tf.int32, [None, 8])
y = tf.placeholder(tf.int32, [None, 8])
keep = tf.placeholder(tf.float32)
cell = tf.nn.rnn_cell.MultiRNNCell(
    [tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.BasicLSTMCell(12), output_keep_prob=keep) for _ in range(2)]
)
init_state = cell.zero_state(tf.shape(x)[0], tf.float32)
out, state = tf.nn.dynamic_rnn(cell, tf.one_hot(x, V), initial_state=init_state)
logits = tf.layers.dense(out, V)
loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=y))
tvars = tf.trainable_variables()
grads, _ = tf.clip_by_global_norm(tf.gradients(loss, tvars), 5)
train = tf.train.AdamOptimizer(0.02).apply_gradients(zip(grads, tvars))
probs = tf.nn.softmax(logits[:, -1] / 0.8)
sample = tf.multinomial(tf.log(probs), 1, seed=3)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    bx = np.stack([ids[i : i + 8] for i in range(6)])
    by = np.stack([ids[i + 1 : i + 9] for i in range(6)])
    st = sess.run(init_state, {x: bx})
    for i in range(15):
        feed = {x: bx, y: by, keep: 1.0}
        for i, (c, h) in enumerate(init_state):
            feed[c] = st[i].c
            feed[h] = st[i].h
        l, st, _ = sess.run([loss, state, train], feed)
    print("char loss %.5f" % l, sess.run(sample, {x: bx, keep: 1.0}).ravel())

tf.reset_default_graph()
tf.set_random_seed(6)
x = tf.placeholder(tf.float32, [None, 6, 5])
y = tf.placeholder(tf.float32, [None, 2])
n = tf.placeholder(tf.int32, [None])
fw, bw = tf.nn.rnn_cell.GRUCell(7), tf.nn.rnn_cell.LSTMCell(7)
outs, states = tf.nn.bidirectional_dynamic_rnn(fw, bw, x, sequence_length=n, dtype=tf.float32)
last = tf.concat([outs[0][:, -1], outs[1][:, 0], states[0], states[1].h], 1)
loss = tf.losses.softmax_cross_entropy(y, tf.layers.dense(last, 2))
train = tf.train.AdamOptimizer().minimize(loss)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    r = np.random.RandomState(2)
    xx = r.rand(9, 6, 5)
    yy = np.eye(2)[r.randint(0, 2, 9)]
    for i in range(10):
        l, _ = sess.run([loss, train], {x: xx, y: yy, n: r.randint(1, 7, 9)})
    print("bidirectional loss %.5f" % l)
