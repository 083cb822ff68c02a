import java.nio.ByteBuffer;
import java.security.KeyPairGenerator;
import java.security.MessageDigest;
import java.util.zip.CRC32;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.SecretKeyFactory;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.PBEKeySpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * Hashing and encryption a Java service does: {@code java Hashes.java KIND ALGORITHM [BYTES]}
 * works on buffers of BYTES (1 MiB unless told) until it is killed. The hot code is
 * HotSpot's: compiled Java, or its intrinsics for SHA and AES, in anonymous memory.
 */
public final class Hashes {
    private interface Step {
        void run(long i) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        int bytes = args.length > 2 ? Integer.parseInt(args[2]) : 1 << 20;
        Step step = step(args[0], args[1], new byte[bytes]);
        for (long i = 0;; i++) {
            step.run(i);
        }
    }

    private static Step step(String kind, String algorithm, byte[] data) throws Exception {
        switch (kind) {
            case "digest": {
                MessageDigest digest = MessageDigest.getInstance(algorithm);
                return i -> {
                    data[0] = (byte) i;
                    digest.digest(data);
                };
            }
            case "mac": {
                Mac mac = Mac.getInstance(algorithm);
                mac.init(new SecretKeySpec(new byte[32], algorithm));
                return i -> mac.doFinal(data);
            }
            case "gcm": {
                // A fresh nonce a message: GCM forbids a second use of one.
                Cipher cipher = Cipher.getInstance(algorithm + "/GCM/NoPadding");
                SecretKeySpec key = new SecretKeySpec(new byte[32], algorithm);
                return i -> {
                    byte[] nonce = ByteBuffer.allocate(12).putLong(i).array();
                    cipher.init(Cipher.ENCRYPT_MODE, key, new GCMParameterSpec(128, nonce));
                    cipher.doFinal(data);
                };
            }
            case "pbkdf2": {
                SecretKeyFactory factory = SecretKeyFactory.getInstance(algorithm);
                byte[] salt = new byte[16];
                return i -> factory.generateSecret(
                        new PBEKeySpec(("password" + i).toCharArray(), salt, 210_000, 256));
            }
            case "keys": {
                KeyPairGenerator generator = KeyPairGenerator.getInstance(algorithm);
                generator.initialize(2048);
                return i -> generator.generateKeyPair();
            }
            case "crc": {
                CRC32 crc = new CRC32();
                return i -> crc.update(data);
            }
            default:
                throw new IllegalArgumentException(kind);
        }
    }
}
