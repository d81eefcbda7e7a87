//! A store that speaks S3, in this process: over a folder of its own, on a free port, with one pair of keys.

use std::net::TcpListener;
use std::path::Path;
use std::pin::Pin;
use std::thread::JoinHandle;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, GetObjectInput, GetObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, PutObjectInput, PutObjectOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::sync::oneshot;

/// The name of the key that is let in.
pub const KEY_ID: &str = "quotad-tests";

/// The key.
pub const SECRET: &str = "KEY-THAT-NOBODY-MAY-SEE";

/// A store; it ends when it is dropped.
pub struct S3Server {
    port: u16,
    folder: TempDir,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl S3Server {
    /// Starts a store with a bucket.
    pub fn start(bucket: &str) -> Self {
        Self::serve_with(bucket, S3ServiceBuilder::new)
    }

    /// Starts a store that does not know conditional writes, and does not say so.
    pub fn start_unconditional(bucket: &str) -> Self {
        Self::serve_with(bucket, |files| S3ServiceBuilder::new(Unconditional(files)))
    }

    fn serve_with(bucket: &str, service: impl FnOnce(FileSystem) -> S3ServiceBuilder) -> Self {
        let folder = TempDir::new().expect("a folder can be made");
        std::fs::create_dir(folder.path().join(bucket)).expect("a bucket is a folder");
        let mut service = service(FileSystem::new(folder.path()).expect("the folder is there"));
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("a socket can be told so");
        let port = listener.local_addr().expect("it is bound").port();
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(serve(listener, service, ended));
        });
        Self { port, folder, end: Some(end), thread: Some(thread) }
    }

    /// Where it listens, on 127.0.0.1.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The folder in which each bucket is one.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Files as S3, where no write is conditional.
struct Unconditional(FileSystem);

/// What an operation of S3 answers, as its trait spells it.
type Answer<'a, T> = Pin<Box<dyn Future<Output = S3Result<S3Response<T>>> + Send + 'a>>;

impl S3 for Unconditional {
    fn put_object<'a, 'b>(&'a self, mut request: S3Request<PutObjectInput>) -> Answer<'b, PutObjectOutput>
    where
        'a: 'b,
        Self: 'b,
    {
        request.input.if_none_match = None;
        self.0.put_object(request)
    }

    fn get_object<'a, 'b>(&'a self, request: S3Request<GetObjectInput>) -> Answer<'b, GetObjectOutput>
    where
        'a: 'b,
        Self: 'b,
    {
        self.0.get_object(request)
    }

    fn list_objects_v2<'a, 'b>(
        &'a self,
        request: S3Request<ListObjectsV2Input>,
    ) -> Answer<'b, ListObjectsV2Output>
    where
        'a: 'b,
        Self: 'b,
    {
        self.0.list_objects_v2(request)
    }

    fn delete_object<'a, 'b>(
        &'a self,
        request: S3Request<DeleteObjectInput>,
    ) -> Answer<'b, DeleteObjectOutput>
    where
        'a: 'b,
        Self: 'b,
    {
        self.0.delete_object(request)
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // What it failed with was printed by itself.
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service, mut ended: oneshot::Receiver<()>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the socket is one");
    loop {
        let stream = tokio::select! {
            _ = &mut ended => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        let service = service.clone();
        tokio::spawn(async move {
            // A client may go at any time.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
