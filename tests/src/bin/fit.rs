//! See [`tests::fit`].

fn main() -> anyhow::Result<()> {
    tests::fit::main()
}
