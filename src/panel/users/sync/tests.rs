//! Every rule of `users.toml`, one case each.

use super::*;
use crate::users::file::parse;
use proptest::prelude::*;

fn id(text: &str) -> ProfileId {
    ProfileId::parse(text).unwrap()
}

fn stored(name: &str) -> Stored {
    let name = Name::parse(name).unwrap();
    Stored {
        id: ProfileId::derive(&name).unwrap(),
        name,
        role: Role::Artist,
        pending: None,
        from_file: true,
        disabled_by_file: false,
        pin_known: false,
        password_known: false,
    }
}

fn planned(text: &str, stored: &[Stored], first: bool) -> (Vec<Change>, Vec<String>) {
    let (changes, problems) = plan(&parse(text).unwrap(), stored, first);
    (changes, problems.into_iter().map(|p| p.0).collect())
}

#[test]
fn the_first_boot_takes_roles_as_they_stand() {
    let text = "[[user]]\nname = \"Ada\"\nrole = \"admin\"\n";
    let (changes, _) = planned(text, &[], true);
    assert!(matches!(&changes[..], [Change::Create { pending: None, .. }]));
    let (changes, _) = planned(text, &[], false);
    assert!(matches!(&changes[..], [Change::Create { pending: Some(Role::Admin), .. }]), "later it waits");
    let (changes, _) = planned(text, &[stored("Ada")], false);
    assert_eq!(changes, [Change::AskRaise(id("ada"))]);
    let waiting = Stored { pending: Some(Role::Admin), ..stored("Ada") };
    assert_eq!(planned(text, std::slice::from_ref(&waiting), false).0, [], "asked once");
    assert_eq!(planned("[[user]]\nname = \"Ada\"", &[waiting], false).0, [Change::ForgetRaise(id("ada"))]);
    let admin = Stored { role: Role::Admin, ..stored("Ada") };
    assert_eq!(planned("[[user]]\nname = \"Ada\"", &[admin], false).0, [Change::Lower(id("ada"))]);
}

#[test]
fn the_unnamed_is_disabled_unless_easel_made_it() {
    let own = Stored { from_file: false, ..stored("Guest") };
    let (changes, _) = planned("[[user]]\nname = \"Ada\"", &[stored("Ada"), stored("Mateo"), own], false);
    assert_eq!(changes, [Change::Disable(id("mateo"))]);
    let gone = Stored { disabled_by_file: true, ..stored("Mateo") };
    assert_eq!(planned("[[user]]\nname = \"Mateo\"", std::slice::from_ref(&gone), false).0, [Change::Enable(id("mateo"))]);
    assert_eq!(planned("[[user]]\nname = \"Ada\"", &[stored("Ada"), gone], false).0, [], "disabled once");
}

#[test]
fn names_that_share_an_id_are_refused_with_the_line_to_add() {
    let (changes, problems) = planned("[[user]]\nname = \"Zoë\"\n[[user]]\nname = \"Zoe\"", &[], true);
    assert_eq!(changes.len(), 1);
    assert_eq!(problems, ["Zoe: the id \"zoe\" is taken; add the line id = \"zoe-2\"."]);
    let (changes, problems) = planned("[[user]]\nname = \"李明\"", &[], true);
    assert!(changes.is_empty());
    assert_eq!(problems, ["李明: no id can be derived from this name; add a line such as id = \"artist-2\"."]);
    let (changes, problems) = planned("[[user]]\nname = \"Zoe\"\n[[user]]\nname = \"Zoë\"\nid = \"zoe\"", &[], true);
    assert!(matches!(&changes[..], [Change::Create { entry, .. }] if entry.name.as_str() == "Zoë"), "a claim wins");
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_rename_needs_an_id_and_never_hands_over_or_locks_out() {
    let known = [stored("Zoë")];
    let (changes, problems) = planned("[[user]]\nname = \"Zoe\"", &known, false);
    assert_eq!(changes, [], "neither renamed nor disabled");
    assert!(problems[0].contains("or id = \"zoe\" if Zoë is the same person"), "{}", problems[0]);
    let (changes, _) = planned("[[user]]\nname = \"Zoe\"\nid = \"zoe\"", &known, false);
    assert_eq!(changes, [Change::Rename(id("zoe"), Name::parse("Zoe").unwrap())]);
}

#[test]
fn whom_an_entry_names_badly_is_not_disabled() {
    let admin = Stored { role: Role::Admin, ..stored("Mateo") };
    let own_id = Stored { id: id("artist-2"), ..stored("Ming") };
    let known = [stored("Ada"), admin, own_id];
    let rest = "[[user]]\nname = \"Ada\"\n[[user]]\nname = \"Ming\"\nid = \"artist-2\"\n";
    for entry in ["name = \"Mateo\"\npin = \"1234\"", "name = \" \"\nid = \"mateo\"", "name = \"Mateo\"\nid = \"MATEO!\""] {
        let text = format!("{rest}[[user]]\n{entry}\n");
        assert_eq!(parse(&text).unwrap().problems.len(), 1, "{entry}");
        assert_eq!(planned(&text, &known, false).0, [], "{entry}");
    }
    // Found by the name where its own id cannot be read, or was given to somebody else by mistake.
    for entry in ["name = \"Ming\"\npassword = \"x\"", "name = \"Ming\"\nid = \"mateo\""] {
        let mateo = "name = \"Mateo\"\nid = \"mateo\"\nrole = \"admin\"";
        let text = format!("[[user]]\nname = \"Ada\"\n[[user]]\n{mateo}\n[[user]]\n{entry}\n");
        assert_eq!(planned(&text, &known, false).0, [], "{entry}");
    }
    // Of whom nothing can be read may be anybody; a good entry says nothing of others.
    let text = "[[user]]\nname = \"Ada\"\n[[user]]\nname = \" \"\nid = \"?\"\n";
    assert_eq!(planned(text, &known, false).0, []);
    assert_eq!(
        planned("[[user]]\nname = \"Ada\"", &known, false).0,
        [Change::Disable(id("mateo")), Change::Disable(id("artist-2"))]
    );
}

#[test]
fn hashes_are_only_the_first_ones() {
    let hash = crate::secrets::hash_now(&crate::secrets::Secret::new("1234"));
    let text = format!("[[user]]\nname = \"Zoë\"\npin = \"{0}\"\npassword = \"{0}\"", hash.as_str());
    let (changes, _) = planned(&text, &[stored("Zoë")], false);
    assert_eq!(changes, [Change::FirstPin(id("zoe"), hash.clone()), Change::FirstPassword(id("zoe"), hash)]);
    let known = Stored { pin_known: true, password_known: true, ..stored("Zoë") };
    assert_eq!(planned(&text, &[known], false).0, []);
}

proptest! {
    /// Nobody gets another's id, whatever the file says: ids of one plan are different, and a profile's
    /// folder only changes its name by an explicit id.
    #[test]
    fn no_two_entries_share_an_id(names in prop::collection::vec("[a-cë]{1,2}", 1..6), known in prop::collection::vec("[a-cë]{1,2}", 0..4)) {
        let mut people: Vec<Stored> = Vec::new();
        for s in known.iter().map(|n| stored(n)) {
            if people.iter().all(|p| p.id != s.id) { people.push(s); }
        }
        let text: String = names.iter().map(|n| format!("[[user]]\nname = \"{n}\"\n")).collect();
        let (changes, _) = planned(&text, &people, false);
        let mut made: Vec<&ProfileId> = changes.iter().filter_map(|c| match c { Change::Create { id, .. } => Some(id), _ => None }).collect();
        made.extend(people.iter().map(|p| &p.id));
        let count = made.len();
        made.sort();
        made.dedup();
        prop_assert_eq!(made.len(), count);
        let renamed = changes.iter().any(|c| matches!(c, Change::Rename(..)));
        prop_assert!(!renamed);
    }
}
