//! Names of fields that are nearly right.

use evener_discovery::json::{JsonError, Node};

use super::error::Warnings;

/// Unknown fields of an object that differ from a known one by case or underscores alone.
pub(super) fn spelling(node: &Node<'_>, known: &[&str], warnings: &mut Warnings) -> Result<(), JsonError> {
    for (key, field) in node.fields()? {
        if known.contains(&key) {
            continue;
        }
        if let Some(right) = known.iter().find(|right| plain(right) == plain(key)) {
            warnings.push(field.path(), format!("gRPC knows `{right}`, not `{key}`, which it ignores."));
        }
    }
    Ok(())
}

fn plain(key: &str) -> String {
    key.chars().filter(|c| *c != '_').map(|c| c.to_ascii_lowercase()).collect()
}
