//! WebAssembly hashes: the published npm package `hash-wasm`, in node and as
//! text for a page.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host;

/// What mines with the library, in node and in a Web Worker.
const MINER: &str = include_str!("../../assets/wasm/miner.js");
/// The library's version, and the checksum of what npm fetches.
const PINS: [(&str, &str); 2] = [
    (
        "package.json",
        include_str!("../../assets/wasm/package.json"),
    ),
    (
        "package-lock.json",
        include_str!("../../assets/wasm/package-lock.json"),
    ),
];

/// The library and the miner, in a directory that outlives the test: npm's
/// server is asked once.
pub struct Wasm(PathBuf);

impl Wasm {
    /// Fetches the library into a directory below `home` unless it is there.
    /// npm checks it against the lock file; none of its scripts runs.
    ///
    /// # Panics
    ///
    /// When npm cannot fetch it.
    #[must_use]
    pub fn install(home: &Path) -> Self {
        let wasm = Self(home.join("wasm"));
        let same = |(name, text): (&str, &str)| {
            fs::read_to_string(wasm.0.join(name)).is_ok_and(|there| there == text)
        };
        if !(wasm.library().is_file() && PINS.into_iter().all(same)) {
            fs::create_dir_all(&wasm.0).expect("a directory for the library");
            for (name, text) in PINS {
                fs::write(wasm.0.join(name), text).expect("room for a small file");
            }
            let npm = host::output(
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(&wasm.0),
            );
            let told = npm.stderr.escape_ascii();
            assert!(npm.status.success(), "npm cannot fetch hash-wasm: {told}");
        }
        fs::write(wasm.0.join("miner.js"), MINER).expect("room for a small file");
        wasm
    }

    fn library(&self) -> PathBuf {
        self.0.join("node_modules/hash-wasm/dist/index.umd.min.js")
    }

    /// Mines in node, at the pool that its environment names.
    #[must_use]
    pub fn node(&self, algorithm: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(self.0.join("miner.js")).arg(algorithm);
        command
    }

    /// A page that mines in a Web Worker, at the pool at `wss://HOST:PORT`.
    ///
    /// # Panics
    ///
    /// When the library cannot be read.
    #[must_use]
    pub fn page(&self, algorithm: &str, pool: &str) -> String {
        let library = fs::read_to_string(self.library()).expect("the library is installed");
        worker_page(
            algorithm,
            &format!("{library}\nconst POOL = \"{pool}\";\n{MINER}"),
        )
    }
}

/// A page whose Web Worker of this name runs the script. The script is within
/// the page: a page from a file must not load another one as a worker.
///
/// # Panics
///
/// When the script would end the element that it lies in.
#[must_use]
pub fn worker_page(name: &str, script: &str) -> String {
    assert!(!script.contains("</script"));
    format!(
        "<!doctype html><meta charset=utf-8><title>{name}</title>\n\
         <script id=worker type=text/plain>{script}</script>\n\
         <script>\n\
         const text = document.getElementById('worker').textContent;\n\
         const url = URL.createObjectURL(new Blob([text]));\n\
         window.worker = new Worker(url, {{ name: '{name}' }});\n\
         </script>\n"
    )
}
