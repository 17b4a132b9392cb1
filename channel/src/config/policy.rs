//! `loadBalancingConfig` and its predecessor `loadBalancingPolicy`.

use evener_core::Policy;
use evener_discovery::json::Node;

use super::duration;
use super::error::{ConfigError, Warnings};
use super::schema::{LoadReports, Locality};
use super::service::LOCALITY_WEIGHTED;
use super::spelling::spelling;

const LIST: &str = "loadBalancingConfig";
const NAMES: &str = "pick_first, round_robin, pick_random, weighted_round_robin and locality_weighted";

/// The policy a config asks for.
pub(super) struct Chosen {
    pub(super) policy: Policy,
    pub(super) locality: Option<Locality>,
    pub(super) load_reports: Option<LoadReports>,
}

impl Chosen {
    const fn new(policy: Policy) -> Self {
        Self { policy, locality: None, load_reports: None }
    }

    /// `locality_weighted`, seen from a place.
    const fn nearest(place: Locality) -> Self {
        Self { policy: Policy::WeightedRoundRobin, locality: Some(place), load_reports: None }
    }
}

pub(super) fn choose(root: &Node<'_>, warnings: &mut Warnings) -> Result<Chosen, ConfigError> {
    let by_name = choose_by_name(root)?;
    match root.field(LIST)? {
        Some(list) => choose_from(&list, warnings),
        None => Ok(by_name.unwrap_or(Chosen::new(Policy::RoundRobin))),
    }
}

/// The deprecated field: a name alone, in any case. As in gRPC it must be right even where
/// `loadBalancingConfig` overrides it.
fn choose_by_name(root: &Node<'_>) -> Result<Option<Chosen>, ConfigError> {
    let Some(node) = root.field("loadBalancingPolicy")? else {
        return Ok(None);
    };
    let name = node.string()?;
    if name.is_empty() {
        return Ok(None);
    }
    match known(&name.to_ascii_lowercase()) {
        Some(Known::LocalityWeighted) => Ok(Some(Chosen::nearest(Locality::default()))),
        Some(Known::Core(policy)) => Ok(Some(Chosen::new(policy))),
        None => Err(node.error(format!("`{name}` is not a policy evener can run; {NAMES} are")).into()),
    }
}

/// The first policy that can be run. One that cannot, whoever else knows it, counts as unknown: the
/// list is its author's order of preference.
fn choose_from(list: &Node<'_>, warnings: &mut Warnings) -> Result<Chosen, ConfigError> {
    let mut skipped = Vec::new();
    let mut chosen = None;
    for element in list.elements()? {
        let (name, parameters) = only_entry(&element)?;
        parameters.object()?;
        match known(name) {
            _ if chosen.is_some() => {}
            Some(policy) => chosen = Some((name, policy, parameters)),
            None => skipped.push((element.path().to_owned(), name)),
        }
    }
    let Some((used, policy, parameters)) = chosen else {
        return Err(none_known(list, &skipped));
    };
    let used = stripped(used);
    for (path, name) in skipped {
        warnings.push(
            path,
            format!("evener cannot run the policy `{name}`; `{used}`, further on, is used instead."),
        );
    }
    parse(policy, &parameters, warnings)
}

fn none_known(list: &Node<'_>, skipped: &[(String, &str)]) -> ConfigError {
    let names: Vec<_> = skipped.iter().map(|(_, name)| format!("`{name}`")).collect();
    let listed =
        if names.is_empty() { "it is empty".to_owned() } else { format!("only {}", names.join(", ")) };
    list.error(format!("has no policy evener can run ({listed}); it can run {NAMES}")).into()
}

fn only_entry<'a>(element: &Node<'a>) -> Result<(&'a str, Node<'a>), ConfigError> {
    let mut fields = element.fields()?;
    match (fields.next(), fields.next()) {
        (Some(entry), None) => Ok(entry),
        _ => Err(element.error("must have exactly one key, the policy's name").into()),
    }
}

/// What evener can run.
#[derive(Clone, Copy)]
enum Known {
    Core(Policy),
    LocalityWeighted,
}

fn known(name: &str) -> Option<Known> {
    match stripped(name) {
        LOCALITY_WEIGHTED => Some(Known::LocalityWeighted),
        name => Policy::from_name(name).map(Known::Core),
    }
}

fn stripped(name: &str) -> &str {
    name.strip_suffix("_experimental").unwrap_or(name)
}

fn parse(policy: Known, node: &Node<'_>, warnings: &mut Warnings) -> Result<Chosen, ConfigError> {
    match policy {
        Known::LocalityWeighted => parse_locality(node, warnings),
        Known::Core(Policy::PickFirst { .. }) => parse_pick_first(node, warnings),
        Known::Core(Policy::WeightedRoundRobin) => parse_weighted(node, warnings),
        Known::Core(policy) => Ok(Chosen::new(policy)),
    }
}

fn parse_locality(node: &Node<'_>, warnings: &mut Warnings) -> Result<Chosen, ConfigError> {
    spelling(node, &["zone", "region"], warnings)?;
    Ok(Chosen::nearest(Locality { zone: place(node, "zone")?, region: place(node, "region")? }))
}

fn place(node: &Node<'_>, key: &str) -> Result<Option<String>, ConfigError> {
    let Some(field) = node.field(key)? else {
        return Ok(None);
    };
    match field.string()? {
        "" => Err(field.error("must not be empty; leave it out where it is not known").into()),
        name => Ok(Some(name.to_owned())),
    }
}

fn parse_pick_first(node: &Node<'_>, warnings: &mut Warnings) -> Result<Chosen, ConfigError> {
    const KEY: &str = "shuffleAddressList";

    spelling(node, &[KEY], warnings)?;
    let shuffle = match node.field(KEY)? {
        Some(field) => field.boolean()?,
        None => false,
    };
    Ok(Chosen::new(Policy::PickFirst { shuffle }))
}

fn parse_weighted(node: &Node<'_>, warnings: &mut Warnings) -> Result<Chosen, ConfigError> {
    const FIELDS: [&str; 7] = [
        "enableOobLoadReport",
        "oobReportingPeriod",
        "blackoutPeriod",
        "weightExpirationPeriod",
        "weightUpdatePeriod",
        "errorUtilizationPenalty",
        "metricNamesForComputingUtilization",
    ];

    spelling(node, &FIELDS, warnings)?;
    let object = node.object()?;
    let given: Vec<_> =
        FIELDS.into_iter().filter(|key| object.get(*key).is_some_and(|v| !v.is_null())).collect();
    if given.is_empty() {
        return Ok(Chosen::new(Policy::WeightedRoundRobin));
    }
    let load_reports = Some(parse_load_reports(node)?);
    warnings.push(
        node.path(),
        format!(
            "Weights are those of the endpoints; servers' load reports, and so {}, are not obeyed yet.",
            given.join(", ")
        ),
    );
    Ok(Chosen { load_reports, ..Chosen::new(Policy::WeightedRoundRobin) })
}

fn parse_load_reports(node: &Node<'_>) -> Result<LoadReports, ConfigError> {
    /// gRPC raises what is less.
    const UPDATE_PERIOD_MIN: std::time::Duration = std::time::Duration::from_millis(100);

    let mut reports = LoadReports::default();
    if let Some(field) = node.field("enableOobLoadReport")? {
        reports.enable_oob_load_report = field.boolean()?;
    }
    if let Some(field) = node.field("oobReportingPeriod")? {
        reports.oob_reporting_period = duration::of(&field)?;
    }
    if let Some(field) = node.field("blackoutPeriod")? {
        reports.blackout_period = duration::of(&field)?;
    }
    if let Some(field) = node.field("weightExpirationPeriod")? {
        reports.weight_expiration_period = duration::of(&field)?;
    }
    if let Some(field) = node.field("weightUpdatePeriod")? {
        reports.weight_update_period = duration::of(&field)?.max(UPDATE_PERIOD_MIN);
    }
    if let Some(field) = node.field("errorUtilizationPenalty")? {
        reports.error_utilization_penalty = field.number()?;
        if reports.error_utilization_penalty < 0.0 {
            return Err(field.error("must not be negative").into());
        }
    }
    if let Some(field) = node.field("metricNamesForComputingUtilization")? {
        let names = field.elements()?.map(|element| element.string().map(str::to_owned));
        reports.utilization_metrics = names.collect::<Result<_, _>>()?;
    }
    Ok(reports)
}
