//! The try of a conditional write, of which an answer may be lost.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};

use super::failure::{Failure, Meaning};
use super::operations::Created;

/// Writes an object unless there is one. `number` is that of the try: behind an earlier one, an object that is there may be ours with
/// the answer lost, and is if it has this content. So a further try looks before it writes: what is there need not be sent again,
/// and a store that refuses early and ends the connection, with most of an upload unread, may never get its answer across.
pub(super) async fn attempt(
    store: &dyn ObjectStore,
    path: &Path,
    content: Bytes,
    number: u32,
) -> Result<Created, Failure> {
    let is_first = number == 1;
    if !is_first && let Some(created) = look(store, path, &content).await? {
        return Ok(created);
    }
    let options = PutOptions::from(PutMode::Create);
    let put = store.put_opts(path, content.clone().into(), options).await;
    let failure = match put {
        Ok(_) => return Ok(Created::New),
        Err(error) => Failure::of(&error),
    };
    match failure.meaning {
        Meaning::Exists if is_first => Ok(Created::Exists),
        // The earlier try came late. Or somebody removes it at this moment, so writing it may succeed next time.
        Meaning::Exists => look(store, path, &content)
            .await?
            .ok_or_else(|| Failure::new(Meaning::Unavailable, "it was removed while it was written")),
        // Neither S3 nor a folder says so of a write.
        Meaning::NotFound => Err(Failure::new(Meaning::Unavailable, failure.reason)),
        _ => Err(failure),
    }
}

/// What is there: ours, somebody else's, or nothing.
async fn look(store: &dyn ObjectStore, path: &Path, content: &Bytes) -> Result<Option<Created>, Failure> {
    let read = async {
        let found = store.get(path).await?;
        let is_ours = found.meta.size == content.len() as u64 && found.bytes().await? == content;
        Ok(Some(if is_ours { Created::New } else { Created::Exists }))
    };
    read.await.or_else(|error: object_store::Error| {
        let failure = Failure::of(&error);
        if failure.meaning == Meaning::NotFound { Ok(None) } else { Err(failure) }
    })
}
