import java.math.BigInteger;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Work of HotSpot that is not hashing: {@code java Work.java MODE} runs MODE until it is killed. */
public final class Work {
    /** What a mode computes ends here, so that it must be computed. */
    private static volatile Object sink;

    public static void main(String[] args) {
        Runnable step = step(args[0]);
        while (true) {
            step.run();
        }
    }

    private static Runnable step(String mode) {
        SplittableRandom random = new SplittableRandom(1);
        switch (mode) {
            case "sort":
                return () -> {
                    long[] numbers = random.longs(1 << 20).toArray();
                    Arrays.sort(numbers);
                    sink = numbers;
                };
            case "streams":
                return () -> sink = IntStream.range(0, 1 << 20).boxed()
                        .collect(Collectors.groupingBy(n -> n % 1000, Collectors.summingInt(n -> n)));
            case "map":
                return () -> {
                    Map<String, Integer> counts = new HashMap<>();
                    for (int n = 0; n < 1 << 18; n++) {
                        counts.merge("key" + (n * 7919 % 5000), 1, Integer::sum);
                    }
                    sink = counts;
                };
            case "random":
                return () -> {
                    long sum = 0;
                    for (int n = 0; n < 1 << 24; n++) {
                        sum += random.nextLong();
                    }
                    sink = sum;
                };
            case "bits":
                return () -> {
                    long x = random.nextLong();
                    long y = 0;
                    for (int n = 0; n < 1 << 24; n++) {
                        x ^= Long.rotateLeft(x, 24) ^ x << 16;
                        y += Long.bitCount(x);
                    }
                    sink = y;
                };
            case "bigint":
                return () -> sink = BigInteger.probablePrime(1024, new Random(random.nextLong()));
            case "matrix":
                return () -> sink = product(300);
            case "regex": {
                Pattern pattern = Pattern.compile("a+b+[c-f]{2,4}x\\d+z");
                String text = "aabccfx0123".repeat(20000);
                return () -> sink = pattern.matcher(text).results().count();
            }
            default:
                throw new IllegalArgumentException(mode);
        }
    }

    private static double[][] product(int size) {
        double[][] result = new double[size][size];
        for (int i = 0; i < size; i++) {
            for (int k = 0; k < size; k++) {
                for (int j = 0; j < size; j++) {
                    result[i][j] += (i + k) * 0.5 * (k - j);
                }
            }
        }
        return result;
    }
}
