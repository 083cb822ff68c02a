import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.IntStream;
import java.util.zip.Adler32;
import java.util.zip.CRC32C;
import java.util.zip.Deflater;

/** Tables, checks and compression of a Java service: {@code java Fill.java MODE} runs MODE until it is killed. */
public final class Fill {
    private static volatile Object sink;

    public static void main(String[] args) {
        Runnable step = step(args[0]);
        while (true) {
            step.run();
        }
    }

    private static Runnable step(String mode) {
        byte[] data = new byte[1 << 20];
        for (int n = 0; n < data.length; n++) {
            data[n] = (byte) (n * n >> 7);
        }
        switch (mode) {
            case "hashmap":
                return () -> {
                    Map<Integer, Integer> map = new HashMap<>();
                    for (int n = 0; n < 1 << 20; n++) {
                        map.merge(n * 31 % 500_009, n, Integer::sum);
                    }
                    sink = map;
                };
            case "strings":
                return () -> {
                    Set<String> set = new HashSet<>();
                    for (int n = 0; n < 1 << 18; n++) {
                        set.add("key-" + n + "-" + (n ^ n >> 3));
                    }
                    sink = set;
                };
            case "concurrent":
                return () -> {
                    Map<Long, Long> map = new ConcurrentHashMap<>();
                    IntStream.range(0, 1 << 19).parallel().forEach(n -> map.merge((long) n % 70_001, 1L, Long::sum));
                    sink = map;
                };
            case "garbage":
                return () -> {
                    Object[] kept = new Object[1 << 16];
                    for (int n = 0; n < 1 << 22; n++) {
                        kept[n * 7919 & 0xffff] = new int[n & 63];
                    }
                    sink = kept;
                };
            case "crc32c":
                return () -> {
                    CRC32C crc = new CRC32C();
                    Adler32 adler = new Adler32();
                    crc.update(data);
                    adler.update(data);
                    sink = crc.getValue() ^ adler.getValue();
                };
            case "deflate":
                return () -> {
                    Deflater deflater = new Deflater(9);
                    deflater.setInput(data);
                    deflater.finish();
                    byte[] out = new byte[1 << 16];
                    long length = 0;
                    while (!deflater.finished()) {
                        length += deflater.deflate(out);
                    }
                    deflater.end();
                    sink = length;
                };
            default:
                throw new IllegalArgumentException(mode);
        }
    }
}
