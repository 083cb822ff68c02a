//! The evaluation for a person: a few lines for the terminal, and a document
//! with a row for every program.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context as _, Result};
use unjack_core::{
    score::{Family, ModelData},
    verdict::Verdict,
};

use super::{Connection, Corpus, Evaluation, Judged, Label};

const LABELS: [Label; 3] = [Label::Miner, Label::Hashing, Label::Other];

/// Reads why programs fail, by name; none if the file is not there.
///
/// # Errors
/// The file is not of its form.
pub(super) fn reasons(path: &Path) -> Result<BTreeMap<String, String>> {
    if !path.exists() {
        return Ok(BTreeMap::new());
    }
    let text = fs::read_to_string(path)?;
    toml::from_str(&text).with_context(|| format!("{} is not name = \"reason\"", path.display()))
}

/// The result in a few lines.
pub(super) fn summary(evaluation: &Evaluation) -> String {
    let mut text = table(evaluation);
    let miners = of(evaluation, Label::Miner);
    let percent = |found: usize| 100.0 * found as f64 / miners.len().max(1) as f64;
    let count = |found: &dyn Fn(&Judged) -> bool| miners.iter().filter(|p| found(p)).count();
    let strange = count(&|p| p.strange == Some(Verdict::Miner));
    let named = count(&Judged::is_named_rightly);
    let unknown = count(&|p| !p.is_named_rightly() && !p.is_named_wrongly());
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\nArea under the ROC curve, miners with a pool behind TLS against honest programs with an \
         unrelated connection: {:.4}. Judged by a model that saw no miner of the family, {strange} \
         of {} miners are found behind TLS ({:.1} %). The family is named rightly for {named} \
         ({:.1} %), called unknown for {unknown}, and named wrongly for {}.",
        evaluation.auc,
        miners.len(),
        percent(strange),
        percent(named),
        miners.len() - named - unknown,
    );
    let honest = evaluation
        .programs
        .iter()
        .filter(|p| p.label != Label::Miner);
    let honest: Vec<_> = honest.collect();
    let pool = |p: &&&Judged| p.with(Connection::Encrypted) == Verdict::Miner;
    let _ = writeln!(
        text,
        "\nWith a connection that behaves like one to a pool, {} of the {} honest programs would be \
         judged `miner`: those that hash. Only the connection tells them from miners.",
        honest.iter().filter(pool).count(),
        honest.len()
    );
    let alarm = |p: &&&Judged| {
        [Connection::None, Connection::Unrelated]
            .map(|connection| p.shipped_with(connection))
            .contains(&Verdict::Miner)
    };
    let found = count(&|p| p.shipped_with(Connection::Encrypted) == Verdict::Miner);
    let _ = writeln!(
        text,
        "\nThe shipped model, which saw them all, finds {found} of {} miners behind TLS and takes {} \
         honest programs for miners.",
        miners.len(),
        honest.iter().filter(alarm).count()
    );
    for program in evaluation.programs.iter().filter(|p| !p.is_right()) {
        let _ = writeln!(
            text,
            "- wrong: {} ({}), hashing {:.2}, log-odds {:+.1}",
            program.name,
            program.label.name(),
            program.hashing,
            program.log_odds
        );
    }
    text
}

fn of(evaluation: &Evaluation, label: Label) -> Vec<&Judged> {
    let programs = evaluation.programs.iter();
    programs.filter(|program| program.label == label).collect()
}

/// What is judged `miner`, by label and connection.
fn table(evaluation: &Evaluation) -> String {
    let mut text = "| judged `miner` |".to_owned();
    for connection in Connection::ALL {
        let _ = write!(text, " {} |", connection.name());
    }
    text.push_str("\n|---|");
    text.extend(Connection::ALL.map(|_| "---|"));
    text.push('\n');
    for label in LABELS {
        let programs = of(evaluation, label);
        let _ = write!(text, "| {} ({}) |", label.name(), programs.len());
        for connection in Connection::ALL {
            let miners = programs
                .iter()
                .filter(|p| p.with(connection) == Verdict::Miner);
            let count = miners.count();
            let percent = 100.0 * count as f64 / programs.len().max(1) as f64;
            let _ = write!(text, " {count} ({percent:.1} %) |");
        }
        text.push('\n');
    }
    text
}

/// The document.
pub(super) fn document(
    evaluation: &Evaluation,
    model: &ModelData,
    corpus: &Corpus,
    reasons: &BTreeMap<String, String>,
) -> String {
    let mut text = "# Detection\n\n<!-- Written by `cargo xtask evaluate`; the words are in \
                    tests/lab/src/fit/detection.md. -->\n\n"
        .to_owned();
    text.push_str(&summary(evaluation));
    text.push_str(include_str!("detection.md"));
    let _ = writeln!(text, "\nRecorded on: {}.", corpus.hosts.join("; "));
    let wrong: Vec<&Judged> = evaluation
        .programs
        .iter()
        .filter(|p| !p.is_right())
        .collect();
    for name in reasons.keys() {
        if wrong.iter().all(|program| program.name != *name) {
            eprintln!("evaluate: failures.toml has a reason for {name}, which is judged rightly");
        }
    }
    if !wrong.is_empty() {
        text.push_str("\n## What it gets wrong\n\n");
        for program in wrong {
            let reason = reasons
                .get(&program.name)
                .map_or("not understood yet", String::as_str);
            let _ = writeln!(text, "- **{}**: {reason}", program.name);
        }
    }
    let _ = writeln!(
        text,
        "\n## The model\n\n{}\n\nIs it hashing? Log-odds {:+.2}, and for each feature:\n\n\
         | feature | weight |\n|---|---|",
        model.provenance, model.hashing.bias
    );
    let mut weights: Vec<(&String, &f64)> = model.hashing.weights.iter().collect();
    weights.sort_by(|a, b| b.1.total_cmp(a.1));
    for (feature, weight) in weights {
        let _ = writeln!(text, "| {feature} | {weight:+.2} |");
    }
    text.push_str(
        "\n## Every program\n\nAll columns are those of a model that never saw the program. \
         *Log-odds* are with a pool behind TLS for miners, and with an unrelated connection for \
         others; the verdicts are with each connection.\n\n",
    );
    for label in LABELS {
        let _ = write!(
            text,
            "### {}\n\n| program | windows | hashing | log-odds |",
            label.name()
        );
        for connection in Connection::ALL {
            let _ = write!(text, " {} |", connection.name());
        }
        text.push_str(" runs found | without its family | named |\n|---|---|---|---|");
        text.extend(Connection::ALL.map(|_| "---|"));
        text.push_str("---|---|---|\n");
        for program in of(evaluation, label) {
            let Judged {
                name,
                windows,
                hashing,
                log_odds,
                verdicts,
                runs: (found, runs),
                named,
                strange,
                ..
            } = program;
            let _ = write!(
                text,
                "| {name} | {windows} | {hashing:.2} | {log_odds:+.1} |"
            );
            for verdict in verdicts {
                let _ = write!(text, " {} |", verdict.name());
            }
            let strange = strange.map_or("", Verdict::name);
            let named = Family::name_or_empty(*named);
            let _ = writeln!(text, " {found}/{runs} | {strange} | {named} |");
        }
        text.push('\n');
    }
    text
}
