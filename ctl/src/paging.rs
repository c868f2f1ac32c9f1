//! Long lists come from the daemon in pages.

use tokio::task::yield_now;
use xbt_api::{Client, ListPage, ListQuery, Transfer};

use crate::failure::Failure;

/// Every page of an answer.
pub async fn all_pages(client: &Client, query: ListQuery) -> Result<Vec<Transfer>, Failure> {
    let mut all = Vec::new();
    each_page(client, query, |page| all.extend(page.transfers)).await?;
    Ok(all)
}

/// Hands on every page of an answer, each while the daemon works on the next.
pub async fn each_page(client: &Client, mut query: ListQuery, mut take: impl FnMut(ListPage)) -> Result<(), Failure> {
    let mut page = client.list(query.clone()).await?;
    loop {
        let last = page.transfers.last().map(|transfer| transfer.id);
        match last {
            // Each page must make progress, or a faulty daemon could keep us in this loop.
            Some(last) if page.more && query.after_id.is_none_or(|before| before < last) => query.after_id = Some(last),
            Some(_) | None => {
                take(page);
                return Ok(());
            }
        }
        let taken = async {
            // The connection's task brings the call on its way first.
            yield_now().await;
            take(page);
        };
        let (next, ()) = tokio::join!(client.list(query.clone()), taken);
        page = next?;
    }
}
