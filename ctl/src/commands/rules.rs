//! `xbtctl rules [CONTACT]`

use xbt_api::{Accept, Rule, Rules, RulesFor};

use crate::complete;
use crate::context::Context;
use crate::failure::Failure;
use crate::out::Tone;
use crate::table::{self, Cell, Column};
use crate::text::{clean, size};

const COLUMNS: [Column; 5] = [
    Column::new("RULE").right(),
    Column::new("FOR").elastic(1),
    Column::new("ACCEPT"),
    Column::new("UP TO").right(),
    Column::new("FOLDER").elastic(2),
];

/// About whom.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// An address, or a name on your contact list: also show what happens to their offers
    #[arg(add = complete::contacts())]
    contact: Option<String>,
}

/// Shows the rules in effect.
pub async fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let rules = context.connect().await?.rules(args.contact).await?;
    let out = &context.out;
    if out.json {
        return Ok(out.json_line(&rules)?);
    }
    let used = rules.contact.as_ref().filter(|contact| contact.heard).and_then(|contact| contact.ruling.rule);
    let mut rows: Vec<_> = rules.rules.iter().map(|rule| row(rule, used == Some(rule.number))).collect();
    rows.extend(for_everybody(&rules));
    table::print(out, &COLUMNS, &rows)?;
    if let Some(contact) = &rules.contact {
        out.line("")?;
        out.line(&verdict(contact))?;
    }
    Ok(())
}

fn row(rule: &Rule, used: bool) -> [Cell; 5] {
    let who = if rule.who.is_empty() { "everybody".to_owned() } else { clean(&rule.who.join(", ")) };
    let accept = rule.accept.map_or("", Accept::as_str);
    let cells = [
        rule.number.to_string(),
        who,
        accept.to_owned(),
        rule.max_size.map(size).unwrap_or_default(),
        rule.folder.as_deref().map(clean).unwrap_or_default(),
    ];
    cells.map(|text| Cell::new(text).tone(if used { Tone::Strong } else { Tone::Plain }))
}

/// What holds where no rule says anything, below the rules because it comes last.
fn for_everybody(rules: &Rules) -> [[Cell; 5]; 2] {
    let from = if rules.from.is_empty() { String::new() } else { format!("{}, and ", clean(&rules.from.join(", "))) };
    let (limit, folder) = (size(rules.max_size), clean(&rules.folder));
    let cells = |cells: [String; 5]| cells.map(Cell::new);
    [
        cells(["-".into(), format!("{from}whom you allowed"), "always".into(), limit, folder.clone()]),
        cells(["-".into(), "others".into(), "ask".into(), String::new(), folder]),
    ]
}

/// What would happen to an offer of this contact.
fn verdict(contact: &RulesFor) -> String {
    let jid = clean(&contact.jid);
    if !contact.heard {
        return format!("{jid} is not on your contact list: offers are ignored");
    }
    let by = match contact.ruling.rule {
        Some(number) => format!("rule {number}"),
        None => "default; no rule matches".to_owned(),
    };
    let folder = clean(&contact.folder);
    match contact.ruling.accept {
        Accept::Always => {
            let limit = size(contact.ruling.max_size);
            format!(
                "{jid}: accepted automatically up to {limit} ({by}), into {folder}; you will be asked about larger offers"
            )
        }
        Accept::Ask => format!("{jid}: you will be asked ({by}); accepted files go to {folder}"),
        Accept::Never => format!("{jid}: declined automatically ({by})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(accept: Accept, rule: Option<u64>, heard: bool) -> String {
        let ruling = xbt_api::Ruling { accept, max_size: 2 << 20, folder: "/p/{contact}".into(), rule };
        verdict(&RulesFor { jid: "bob@example.org".into(), heard, ruling, folder: "/p/bob@example.org".into() })
    }

    #[test]
    fn the_verdict_says_what_happens_where_to_and_by_which_rule() {
        let always = offer(Accept::Always, Some(2), true);
        assert!(
            always.starts_with("bob@example.org: accepted automatically up to 2.0 MiB (rule 2), into /p/bob"),
            "{always}"
        );
        let ask = offer(Accept::Ask, None, true);
        assert!(ask.starts_with("bob@example.org: you will be asked (default; no rule matches)"), "{ask}");
        assert!(offer(Accept::Never, Some(1), true).ends_with("declined automatically (rule 1)"));
        assert!(offer(Accept::Always, None, false).ends_with("offers are ignored"));
    }
}
