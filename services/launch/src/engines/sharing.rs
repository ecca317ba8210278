//! Which engines several processes can share: roles that are apart need such engines.

use crate::commands::Failure;
use crate::roles::Role;

/// A port, by the name that an operator knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    Log,
    Store,
    Directory,
    Presence,
    Keys,
}

impl Port {
    const fn name(self) -> &'static str {
        match self {
            Self::Log => "the log",
            Self::Store => "the store",
            Self::Directory => "the Directory",
            Self::Presence => "presence",
            Self::Keys => "the signing keys",
        }
    }

    /// Where its embedded engine is; no other process can come there.
    const fn place(self) -> Place {
        match self {
            Self::Presence => Place::Memory,
            Self::Log | Self::Store | Self::Directory | Self::Keys => Place::Folder,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Folder,
    Memory,
}

/// Refuses to run these roles and leave others to another process, where the two could not share their engines.
///
/// # Errors
/// The sentence that says which engines those are, and what to do.
pub(crate) fn refuse_to_share(roles: &[Role]) -> Result<(), Failure> {
    let others: Vec<&str> =
        Role::ALL.iter().filter(|role| !roles.contains(role)).map(|role| role.name()).collect();
    if others.is_empty() {
        return Ok(());
    }
    let used = |place: Place| -> Vec<&str> {
        let ports = [Port::Log, Port::Store, Port::Directory, Port::Presence, Port::Keys].into_iter();
        let is_used = |port: &Port| roles.iter().any(|role| role.ports().contains(port));
        ports.filter(|port| port.place() == place && is_used(port)).map(Port::name).collect()
    };
    let parts = [
        (used(Place::Folder), "in one data folder, which one process holds"),
        (used(Place::Memory), "in the memory of one process"),
    ];
    let places = parts.into_iter().filter(|(ports, _)| !ports.is_empty());
    let places: Vec<String> =
        places.map(|(ports, place)| format!("{} {} {place}", listed(&ports), verb(&ports))).collect();
    let names: Vec<&str> = roles.iter().map(|role| role.name()).collect();
    Err(format!(
        "{} can't run apart from {} on embedded engines: {}. Run `ringside up`, which starts all roles in one process; \
         what roles in several processes say to one another is not built yet, whatever their engines",
        listed(&names),
        listed(&others),
        places.join(", and ")
    )
    .into())
}

fn verb(names: &[&str]) -> &'static str {
    if names.len() == 1 { "is" } else { "are" }
}

/// `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(roles: &[Role]) -> String {
        refuse_to_share(roles).expect_err("refused").to_string()
    }

    #[test]
    fn a_part_of_the_roles_is_refused_by_the_engines_that_it_uses() {
        for role in Role::ALL {
            let told = refusal(&[role]);
            assert!(told.starts_with(role.name()) && told.contains("`ringside up`"), "{told}");
            let engines = told.split(" on embedded engines: ").nth(1).expect("it names engines");
            for port in [Port::Log, Port::Store, Port::Directory, Port::Presence, Port::Keys] {
                let is_used = role.ports().contains(&port);
                assert_eq!(engines.contains(port.name()), is_used, "{told}: {port:?}");
            }
        }
        assert_eq!(
            refusal(&[Role::User, Role::Channel]),
            "user and channel can't run apart from edge, api, message and presence on embedded engines: the log, the \
             Directory and the signing keys are in one data folder, which one process holds, and presence is in the \
             memory of one process. Run `ringside up`, which starts all roles in one process; what roles in several processes say to one another is \
             not built yet, whatever their engines"
        );
    }

    #[test]
    fn all_of_them_share_by_being_one_process() {
        assert!(refuse_to_share(&Role::ALL).is_ok());
    }
}
