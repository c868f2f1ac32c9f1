//! `xbtctl watch`

use std::time::Duration;

use xbt_api::{Event, MAX_WAIT_MS};

use super::Context;
use crate::failure::Failure;
use crate::text::{clean, percent, rate, title};

/// Prints events until it is interrupted or the daemon goes.
pub async fn run(context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let mut seq = client.events(None, Duration::ZERO).await?.seq;
    loop {
        let news = client.events(Some(seq), Duration::from_millis(MAX_WAIT_MS)).await?;
        seq = news.seq;
        if news.lagged {
            context.out.note("some events were missed");
        }
        for event in news.events {
            if context.out.json {
                context.out.json_line(&event)?;
            } else {
                context.out.line(&line(&event))?;
            }
        }
        // Whoever reads wants to see it now.
        context.out.flush()?;
    }
}

fn line(event: &Event) -> String {
    let mut line = format!("{} {}", clean(&event.at), event.kind);
    if let Some(transfer) = &event.transfer {
        line += &format!(" {} {} {}%", transfer.id, transfer.state, percent(transfer));
        if transfer.rate > 0 {
            line += &format!(" {}", rate(transfer.rate));
        }
        line += &format!(" {}", title(transfer));
    }
    if !event.text.is_empty() {
        line += &format!(": {}", clean(&event.text));
    }
    line
}
