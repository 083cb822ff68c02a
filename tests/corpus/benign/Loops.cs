// Work of a .NET program under Mono's JIT: `mono Loops.exe MODE` runs MODE until it is killed.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Security.Cryptography;
using System.Text;

static class Loops
{
    static object sink;

    static void Main(string[] args)
    {
        var step = Step(args[0]);
        while (true) sink = step();
    }

    static Func<object> Step(string mode)
    {
        switch (mode)
        {
            case "dictionary":
                return () =>
                {
                    var counts = new Dictionary<int, int>();
                    for (int n = 0; n < 1 << 19; n++)
                    {
                        int key = n * 7919 % 50021, old;
                        counts.TryGetValue(key, out old);
                        counts[key] = old + 1;
                    }
                    return counts;
                };
            case "linq":
                return () => Enumerable.Range(0, 1 << 18).Select(n => n * 7919L % 10007).GroupBy(n => n % 100).Select(g => g.Sum()).ToList();
            case "sha256":
                var sha = SHA256.Create();
                var data = new byte[1 << 20];
                return () => sha.ComputeHash(data);
            case "pbkdf2":
                return () => new Rfc2898DeriveBytes("password", new byte[16], 20000, HashAlgorithmName.SHA256).GetBytes(32);
            case "random":
                return () =>
                {
                    var random = new Random(1);
                    double sum = 0;
                    for (int n = 0; n < 1 << 21; n++) sum += random.NextDouble();
                    return sum;
                };
            default:
                throw new ArgumentException(mode);
        }
    }
}
