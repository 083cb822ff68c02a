//! See [`lab::fit`].

fn main() -> anyhow::Result<()> {
    lab::fit::main()
}
