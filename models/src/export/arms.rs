//! The table of the machine's states, as far as traces show it: what may come in which state, what became of it, and by
//! which requirement.
//!
//! A pair of state and kind that nothing can bring about has its reason here ([`why_not`]). What the text's own tables
//! say is read out of the text ([`rows`]).

use std::collections::{BTreeMap, BTreeSet};

use antiphon_spec::{error_code::ErrorCode as Code, requirement, session::Stage};

use super::features::{
    Arm,
    End::{self, Late, Refused, Taken},
    FIRST, LINKS, MISPLACED, SAID, STEPS, TIMERS, UNTIMELY, USER,
};

/// What a session may wait for; one that is over is dropped by its client, and hears nothing.
pub(super) const STAGES: [Stage; 13] = [
    Stage::Invited,
    Stage::AwaitingWelcome,
    Stage::Joining,
    Stage::Completed,
    Stage::Member,
    Stage::Closing,
    Stage::Orphaned,
    Stage::TokenHome,
    Stage::Offering,
    Stage::TokenOut,
    Stage::Collecting,
    Stage::Committed,
    Stage::Leaving,
];

const MEMBERS: &[Stage] = &[
    Stage::Member,
    Stage::Closing,
    Stage::Orphaned,
    Stage::TokenHome,
    Stage::Offering,
    Stage::TokenOut,
    Stage::Collecting,
    Stage::Committed,
];

const COORDINATORS: &[Stage] =
    &[Stage::TokenHome, Stage::Offering, Stage::TokenOut, Stage::Collecting, Stage::Committed];

const OTHERS: &[Stage] = &[Stage::Member, Stage::Closing, Stage::Orphaned];

const NEWCOMERS: &[Stage] = &[Stage::Joining, Stage::Completed];

const INVITEES: &[Stage] = &[Stage::Invited, Stage::AwaitingWelcome];

/// The states in which an epoch has been closed or lost, so that no ticket for it is good any more.
const AFTER_CLOSE: &[Stage] = &[Stage::Closing, Stage::Orphaned, Stage::Collecting, Stage::Committed];

const ANY: &[Stage] = &STAGES;

/// All kinds of what may come to a session.
pub(super) fn kinds() -> impl Iterator<Item = &'static str> {
    USER.into_iter().chain(LINKS).chain(TIMERS).chain(STEPS).chain([UNTIMELY]).chain(MISPLACED).chain(SAID)
}

const fn has_epoch(stage: Stage) -> bool {
    match stage {
        Stage::Invited | Stage::AwaitingWelcome | Stage::Leaving | Stage::Ended => false,
        Stage::Joining
        | Stage::Completed
        | Stage::Member
        | Stage::Closing
        | Stage::Orphaned
        | Stage::TokenHome
        | Stage::Offering
        | Stage::TokenOut
        | Stage::Collecting
        | Stage::Committed => true,
    }
}

/// The states in which each timer may run. Who leaves, as one that offers its part does, has taken its open invitations
/// back; and a coordinator removes whom it has lost before anything else, by which that one's timer ends.
const RUNNING: [(&str, &[Stage]); 9] = [
    (
        "the invitation timer",
        &[
            Stage::Member,
            Stage::Closing,
            Stage::Orphaned,
            Stage::TokenHome,
            Stage::TokenOut,
            Stage::Collecting,
            Stage::Committed,
        ],
    ),
    ("the answer timer", &[Stage::Invited]),
    ("the join timer", &[Stage::AwaitingWelcome, Stage::Joining, Stage::Completed]),
    ("the lease timer", &[Stage::Offering, Stage::TokenOut]),
    ("the close timer", &[Stage::Collecting]),
    ("the flush timer", &[Stage::Closing, Stage::Orphaned, Stage::Committed]),
    ("the acknowledgement timer", MEMBERS),
    (
        "the timer of a lost member",
        &[
            Stage::Member,
            Stage::Closing,
            Stage::Orphaned,
            Stage::Collecting,
            Stage::Committed,
            Stage::Leaving,
        ],
    ),
    ("the linger timer", &[Stage::Leaving]),
];

/// Why something cannot come in a state.
pub(super) fn why_not(stage: Stage, kind: &str) -> Option<&'static str> {
    let sorts = has_epoch(stage);
    if (SAID.contains(&kind) || MISPLACED.contains(&kind)) && !sorts {
        return Some("no epoch is at hand to sort it by");
    }
    if kind == UNTIMELY && sorts {
        return Some("it is sorted by the epoch at hand");
    }
    if let Some((_, stages)) = RUNNING.iter().find(|(timer, _)| *timer == kind)
        && !stages.contains(&stage)
    {
        return Some("the timer doesn't run");
    }
    let is_dialling = !matches!(stage, Stage::Invited | Stage::AwaitingWelcome | Stage::Completed);
    if (kind == "a link" || kind == "a link that cannot be had") && !is_dialling {
        return Some("no dial is under way");
    }
    None
}

/// What a row of the text's tables says may become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) kind: &'static str,
    pub(super) ends: BTreeSet<End>,
}

const SESSIONS: &str = include_str!("../../../spec/text/sessions.md");

/// The rows of the tables in chapter *Sessions*, section *Order of checks*.
pub(super) fn rows() -> Vec<Row> {
    read_rows(SESSIONS)
}

fn read_rows(text: &str) -> Vec<Row> {
    let after = text.split_once("\n## Order of checks\n").map_or("", |(_, after)| after);
    let section = after.split_once("\n## ").map_or(after, |(section, _)| section);
    section.lines().filter_map(read_row).collect()
}

fn read_row(line: &str) -> Option<Row> {
    let [_, name, taken, otherwise, _] = line.split('|').collect::<Vec<_>>()[..] else { return None };
    let name = name.trim().strip_prefix('`')?.strip_suffix('`')?;
    let kind = SAID.into_iter().chain(STEPS).find(|kind| *kind == name)?;
    let codes = otherwise.split('`').skip(1).step_by(2).filter_map(code);
    let mut ends: BTreeSet<End> = codes.map(Refused).collect();
    ends.insert(Taken);
    if [taken, otherwise]
        .iter()
        .any(|cell| cell.split(|c: char| !c.is_alphabetic()).any(|word| word == "late"))
    {
        ends.insert(Late);
    }
    Some(Row { kind, ends })
}

fn code(name: &str) -> Option<Code> {
    Code::ALL.iter().copied().find(|code| code.as_str() == name)
}

/// What is said in the text about an end of a kind in these states.
type Rule = (&'static [Stage], &'static str, End, &'static str);

/// Where the text has a sentence about an arm. The first that fits counts.
const RULES: &[Rule] = &[
    (ANY, "the user's yes", Taken, "SESS-031"),
    (&[Stage::Invited], "the user's no", Taken, "SESS-029"),
    (&[Stage::Joining], "the user's leave", Taken, "SESS-076"),
    (&[Stage::Completed], "the user's leave", Taken, "SESS-077"),
    (&[Stage::Orphaned], "the user's leave", Taken, "SESS-131"),
    (&[Stage::Member, Stage::Closing], "the user's leave", Taken, "SESS-097"),
    (MEMBERS, "the user's invitation", Refused(Code::AlreadyMember), "SESS-035"),
    (MEMBERS, "the user's invitation", Refused(Code::Forbidden), "SESS-098"),
    (MEMBERS, "the user's message", Refused(Code::MediaType), "SESS-175"),
    (&[Stage::Closing, Stage::Collecting, Stage::Committed], "the user's message", Taken, "SESS-088"),
    (&[Stage::Orphaned], "the user's message", Taken, "SESS-129"),
    (MEMBERS, "the user's message", Taken, "SESS-107"),
    (&[Stage::Joining], "a link", Taken, "SESS-064"),
    (&[Stage::Joining], "a link", Refused(Code::CertificateRefused), "SESS-063"),
    (&[Stage::Joining], "a link that cannot be had", Taken, "SESS-076"),
    (&[Stage::Joining], "a lost link", Taken, "SESS-076"),
    (ANY, "the invitation timer", Taken, "SESS-028"),
    (ANY, "the answer timer", Taken, "SESS-029"),
    (&[Stage::AwaitingWelcome], "the join timer", Taken, "SESS-036"),
    (&[Stage::Joining], "the join timer", Taken, "SESS-073"),
    (&[Stage::Completed], "the join timer", Taken, "SESS-078"),
    (&[Stage::TokenOut], "the lease timer", Taken, "SESS-057"),
    (&[Stage::Offering], "the lease timer", Taken, "SESS-104"),
    (ANY, "the close timer", Refused(Code::Deadline), "SESS-093"),
    (ANY, "the flush timer", Refused(Code::Deadline), "SESS-142"),
    (ANY, "the acknowledgement timer", Refused(Code::Deadline), "SESS-143"),
    (&[Stage::Orphaned], "the timer of a lost member", Refused(Code::Deadline), "SESS-153"),
    (&[Stage::Member, Stage::Closing], "the timer of a lost member", Taken, "SESS-120"),
    (ANY, "the linger timer", Taken, "SESS-099"),
    (&[Stage::Leaving], UNTIMELY, Late, "SESS-099"),
    (ANY, "invite", Refused(Code::SessionIdForged), "SESS-003"),
    (INVITEES, "invite", Refused(Code::NoSuchSession), "SESS-038"),
    (INVITEES, "join", Refused(Code::NoSuchSession), "SESS-038"),
    (INVITEES, "reject", Refused(Code::NoSuchSession), "SESS-038"),
    (INVITEES, "cancel", Refused(Code::NoSuchSession), "SESS-038"),
    (INVITEES, "welcome", Refused(Code::NoSuchSession), "SESS-038"),
    (INVITEES, UNTIMELY, Refused(Code::NoSuchSession), "SESS-038"),
    (MEMBERS, "join", Taken, "SESS-033"),
    (MEMBERS, "reject", Taken, "SESS-034"),
    (INVITEES, "cancel", Taken, "SESS-037"),
    (ANY, "welcome", Taken, "SESS-064"),
    (ANY, "welcome", Refused(Code::SessionIdForged), "SESS-060"),
    (ANY, "welcome", Refused(Code::SessionFull), "SESS-061"),
    (ANY, "welcome", Refused(Code::Malformed), "SESS-062"),
    (ANY, "a message of another session", Refused(Code::NoSuchSession), "SESS-012"),
    (MEMBERS, "a stranger's message", Refused(Code::Forbidden), "SESS-016"),
    (NEWCOMERS, "a message for the next epoch", Taken, "SESS-079"),
    (NEWCOMERS, "an admit for the next epoch", Taken, "SESS-079"),
    (MEMBERS, "a message for the next epoch", Taken, "SESS-017"),
    (MEMBERS, "an admit for the next epoch", Taken, "SESS-017"),
    (ANY, "a message for the next epoch", Refused(Code::LimitReached), "SESS-018"),
    (ANY, "an admit for the next epoch", Refused(Code::LimitReached), "SESS-018"),
    (ANY, "a message for an epoch beyond the next", Refused(Code::EpochImpossible), "SESS-019"),
    (MEMBERS, "a message for an epoch that is over", Late, "SESS-020"),
    (MEMBERS, "a chat message for an epoch that is over", Late, "SESS-020"),
    (MEMBERS, "a chat message for an epoch that is over", Refused(Code::Fork), "SESS-144"),
    (MEMBERS, "a received for an epoch that is over", Taken, "SESS-021"),
    (MEMBERS, "a received for an epoch that is over", Refused(Code::UnexpectedMessage), "SESS-170"),
    (MEMBERS, "an admit for an epoch that is over", Refused(Code::TicketEpoch), "SESS-022"),
    (MEMBERS, "a follow for an epoch that is over", Taken, "SESS-136"),
    (ANY, "a message of another chain", Refused(Code::Fork), "SESS-023"),
    (MEMBERS, "a message of another chain, for the epoch before", Refused(Code::Fork), "SESS-195"),
    (OTHERS, "token-request", Refused(Code::Forbidden), "SESS-044"),
    (COORDINATORS, "token-request", Refused(Code::Forbidden), "SESS-045"),
    (COORDINATORS, "token-request", Late, "SESS-046"),
    (COORDINATORS, "token-request", Refused(Code::LimitReached), "SESS-049"),
    (COORDINATORS, "token-request", Refused(Code::AlreadyMember), "SESS-048"),
    (COORDINATORS, "token-request", Refused(Code::SessionFull), "SESS-048"),
    (MEMBERS, "token-grant", Taken, "SESS-058"),
    (MEMBERS, "token-grant", Refused(Code::GrantRefused), "SESS-055"),
    (&[Stage::TokenOut], "token-return", Taken, "SESS-057"),
    (MEMBERS, "admit", Taken, "SESS-074"),
    (MEMBERS, "admit", Refused(Code::AlreadyMember), "SESS-065"),
    (AFTER_CLOSE, "admit", Refused(Code::TicketEpoch), "SESS-066"),
    (MEMBERS, "admit", Refused(Code::TicketIssuer), "SESS-067"),
    (MEMBERS, "admit", Refused(Code::TicketSession), "SESS-068"),
    (MEMBERS, "admit", Refused(Code::TicketEpoch), "SESS-069"),
    (MEMBERS, "admit", Refused(Code::TicketPeer), "SESS-070"),
    (MEMBERS, "admit", Refused(Code::TicketGrant), "SESS-071"),
    (MEMBERS, "admit", Refused(Code::TicketExpired), "SESS-072"),
    (&[Stage::Joining], "admitted", Taken, "SESS-075"),
    (COORDINATORS, "admitted", Taken, "SESS-141"),
    (COORDINATORS, "complete", Taken, "SESS-141"),
    (MEMBERS, "hand-over", Taken, "SESS-102"),
    (&[Stage::Offering], "hand-over-answer", Taken, "SESS-081"),
    (MEMBERS, "close", Taken, "SESS-087"),
    (COORDINATORS, "closed", Taken, "SESS-089"),
    (&[Stage::Member], "commit", Taken, "SESS-190"),
    (&[Stage::Member], "commit", Refused(Code::CommitRefused), "SESS-191"),
    (&[Stage::Member], "commit", Refused(Code::Forbidden), "SESS-191"),
    (&[Stage::Closing], "commit", Taken, "SESS-092"),
    (&[Stage::Completed], "commit", Refused(Code::CommitRefused), "SESS-127"),
    (&[Stage::Completed], "commit", Refused(Code::Fork), "SESS-080"),
    (&[Stage::Orphaned], "commit", Refused(Code::CommitRefused), "SESS-139"),
    (&[Stage::Orphaned], "commit", Refused(Code::Forbidden), "SESS-138"),
    (&[Stage::Orphaned], "commit", Refused(Code::Fork), "SESS-151"),
    (MEMBERS, "follow", Refused(Code::UnexpectedMessage), "SESS-135"),
    (MEMBERS, "message", Taken, "SESS-108"),
    (MEMBERS, "message", Late, "SESS-109"),
    (MEMBERS, "message", Refused(Code::UnexpectedMessage), "SESS-110"),
    (MEMBERS, "message", Refused(Code::Forbidden), "SESS-112"),
    (MEMBERS, "message", Refused(Code::LimitReached), "SESS-113"),
    (MEMBERS, "message", Refused(Code::MediaType), "SESS-176"),
    (MEMBERS, "received", Taken, "SESS-172"),
    (MEMBERS, "received", Refused(Code::UnexpectedMessage), "SESS-170"),
];

/// The requirement that an arm shows: the sentence about it, or that about the tables' last column, or about what is late.
pub(super) fn requirement_of(arm: &Arm, rows: &[Row]) -> Option<&'static str> {
    let Some(stage) = arm.stage else { return requirement_of_first(arm) };
    let fits =
        |(stages, kind, end, _): &&Rule| stages.contains(&stage) && *kind == arm.kind && *end == arm.end;
    if let Some((.., id)) = RULES.iter().find(fits) {
        return requirement::find(id).map(|found| found.id);
    }
    rows.iter().find(|row| row.kind == arm.kind && row.ends.contains(&arm.end))?;
    match arm.end {
        Taken => None,
        Late => Some("SESS-025"),
        Refused(_) => Some("SESS-024"),
    }
}

/// What comes before there is a session.
fn requirement_of_first(arm: &Arm) -> Option<&'static str> {
    match (arm.kind, arm.end) {
        ("create", _) => Some("SESS-004"),
        ("invite", Refused(Code::SessionIdForged)) => Some("SESS-003"),
        ("join" | "reject" | "cancel" | "welcome", Refused(_)) => Some("SESS-007"),
        _ => None,
    }
}

/// What a set of traces shows of the table.
#[derive(Debug, Default)]
pub(super) struct Table(BTreeMap<(Option<Stage>, &'static str), BTreeSet<End>>);

impl Table {
    pub(super) fn new(arms: impl Iterator<Item = Arm>) -> Self {
        let mut table = Self::default();
        for arm in arms {
            table.0.entry((arm.stage, arm.kind)).or_default().insert(arm.end);
        }
        table
    }

    fn ends(&self, stage: Option<Stage>, kind: &'static str) -> Option<&BTreeSet<End>> {
        self.0.get(&(stage, kind))
    }

    /// How many arms there are.
    pub(super) fn arms(&self) -> usize {
        self.0.values().map(BTreeSet::len).sum()
    }

    /// The pairs that could be reached, and are not.
    pub(super) fn missed(&self) -> Vec<(Option<Stage>, &'static str)> {
        let of_sessions = STAGES.into_iter().flat_map(|stage| kinds().map(move |kind| (stage, kind)));
        let possible = of_sessions.filter(|(stage, kind)| why_not(*stage, kind).is_none());
        FIRST
            .into_iter()
            .map(|kind| (None, kind))
            .chain(possible.map(|(stage, kind)| (Some(stage), kind)))
            .filter(|(stage, kind)| self.ends(*stage, kind).is_none())
            .collect()
    }

    /// How many pairs are reached.
    pub(super) fn pairs(&self) -> usize {
        self.0.len()
    }

    /// The pairs that are reached though nothing should bring them about: then a reason is wrong.
    pub(super) fn surprises(&self) -> Vec<(Stage, &'static str, &'static str)> {
        let of_sessions = self.0.keys().filter_map(|(stage, kind)| Some(((*stage)?, *kind)));
        of_sessions.filter_map(|(stage, kind)| Some((stage, kind, why_not(stage, kind)?))).collect()
    }

    /// What the text's tables say may become of a message and no trace shows.
    pub(super) fn missed_rows(&self, rows: &[Row]) -> Vec<(&'static str, End)> {
        let shown = |kind: &'static str, end: &End| {
            self.0.iter().any(|((_, other), ends)| *other == kind && ends.contains(end))
        };
        let all = rows.iter().flat_map(|row| row.ends.iter().map(|end| (row.kind, *end)));
        all.filter(|(kind, end)| !shown(kind, end)).collect()
    }

    /// A cell: `t` taken, `l` late, `r` refused, `-` it cannot come, `?` not shown.
    fn cell(&self, stage: Stage, kind: &'static str) -> String {
        let Some(ends) = self.ends(Some(stage), kind) else {
            return if why_not(stage, kind).is_some() { "-" } else { "?" }.to_owned();
        };
        let letter = |end: &End| match end {
            Taken => 't',
            Late => 'l',
            Refused(_) => 'r',
        };
        let mut letters: Vec<char> = ends.iter().map(letter).collect();
        letters.dedup();
        letters.into_iter().collect()
    }

    /// The table as lines of text.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            (1..).zip(STAGES).map(|(number, stage)| format!("{number:>2}  {stage}")).collect();
        lines.push(String::new());
        let heads: Vec<String> = (1..=STAGES.len()).map(|number| format!("{number:<3}")).collect();
        lines.push(format!("{:<41}{}", "", heads.join(" ").trim_end()));
        for kind in kinds() {
            let cells: Vec<String> =
                STAGES.into_iter().map(|stage| format!("{:<3}", self.cell(stage, kind))).collect();
            lines.push(format!("{kind:<41}{}", cells.join(" ").trim_end()));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_says_what_may_become_of_a_message() {
        let text = "\n## Order of checks\n\n| said | by whom | otherwise |\n| --- | --- | --- |\n\
            | `closed` | coordinator | `unexpected-message` |\n\
            | `token-refused` | member; without the request it is late | `forbidden` |\n\
            | `hand-over-answer` | coordinator; otherwise late | `unexpected-message` at a member |\n\
            | `nothing` | nobody | `forbidden` |\n\n## Next\n\n| `close` | nobody | `forbidden` |\n";
        let row = |kind: &'static str, ends: &[End]| Row { kind, ends: ends.iter().copied().collect() };
        assert_eq!(
            read_rows(text),
            [
                row("closed", &[Taken, Refused(Code::UnexpectedMessage)]),
                row("token-refused", &[Taken, Late, Refused(Code::Forbidden)]),
                row("hand-over-answer", &[Taken, Late, Refused(Code::UnexpectedMessage)]),
            ]
        );
    }

    #[test]
    fn the_text_has_a_row_for_each_message() {
        let rows: BTreeSet<&str> = rows().iter().map(|row| row.kind).collect();
        assert_eq!(rows, SAID.into_iter().chain(STEPS).collect());
    }

    #[test]
    fn each_rule_cites_a_sentence_that_names_the_code() {
        let all: BTreeSet<&str> = kinds().collect();
        for (stages, kind, end, id) in RULES {
            let requirement = requirement::find(id).expect(id);
            assert!(all.contains(kind) && !stages.is_empty(), "{kind}");
            if let Refused(code) = end
                && !matches!(*id, "SESS-035" | "SESS-063" | "SESS-098" | "SESS-175")
            {
                assert!(requirement.sentence.contains(code.as_str()), "{kind}: {code} in {id}");
            }
        }
    }
}
