// Trains the exported MNIST net from Java and prints every loss; mnist_jni.c stands between Java and the library.
//
//     javac -h . Train.java
//     cc -O2 -shared -fPIC -I../.. -I. -I$JAVA_HOME/include -I$JAVA_HOME/include/linux mnist_jni.c -L../.. -l:libmnist.a -lm \
//         -pthread -o libmnist_jni.so
//     java -Djava.library.path=. Train DATA 20      # DATA: a folder with MNIST's unpacked IDX files; 20 steps

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

public final class Train implements AutoCloseable {
    private static final int PIXELS = 28 * 28;
    private static final int BATCH = 32;

    static {
        System.loadLibrary("mnist_jni");
    }

    private final long model;

    private static native long create(long seed);

    private static native void destroy(long model);

    private static native float trainStep(
            long model, int first, int batch, byte[] images, byte[] labels, float learningRate, float keepProb);

    private static native int[] predict(long model, int batch, byte[] images);

    private Train(long seed) {
        model = create(seed);
    }

    @Override
    public void close() {
        destroy(model);
    }

    private static byte[] read(Path path, int header) throws IOException {
        byte[] content = Files.readAllBytes(path);
        return Arrays.copyOfRange(content, header, content.length);
    }

    public static void main(String[] arguments) throws IOException {
        Path folder = Path.of(arguments[0]);
        byte[] images = read(folder.resolve("train-images-idx3-ubyte"), 16);
        byte[] labels = read(folder.resolve("train-labels-idx1-ubyte"), 8);
        int steps = Integer.parseInt(arguments[1]);
        try (Train net = new Train(1)) {
            for (int step = 0; step < steps; step++) {
                int first = step % (labels.length / BATCH) * BATCH;
                float loss = trainStep(net.model, first, BATCH, images, labels, 1e-3f, 0.75f);
                System.out.println(loss); // as many digits as tell it from every other float
            }
            int[] guesses = predict(net.model, BATCH, Arrays.copyOf(images, BATCH * PIXELS));
            int right = 0;
            for (int i = 0; i < BATCH; i++) {
                right += guesses[i] == labels[i] ? 1 : 0;
            }
            System.out.println(right + " of " + BATCH + " right");
        }
    }
}
