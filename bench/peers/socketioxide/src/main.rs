//! Server with socketioxide: one room per channel, and a single thread, because the server has one
//! core.

use socketioxide::{
    SocketIo, TransportType,
    extract::{AckSender, Data, SocketRef},
};

async fn join(socket: SocketRef, Data(name): Data<String>, ack: AckSender) {
    socket.join(name);
    ack.send(&()).ok();
}

async fn pass_on(io: SocketIo, Data((name, text)): Data<(String, String)>) {
    io.to(name).emit("message", &text).await.ok();
}

async fn connected(socket: SocketRef) {
    socket.on("join", join);
    socket.on("message", pass_on);
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).ok_or("usage: peer-socketioxide PORT")?.parse()?;
    let (layer, io) = SocketIo::builder().transports([TransportType::Websocket]).build_layer();
    io.ns("/", connected);
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    let listener = axum::serve::ListenerExt::tap_io(socket.listen(4096)?, |stream| {
        stream.set_nodelay(true).ok();
    });
    axum::serve(listener, axum::Router::new().layer(layer)).await?;
    Ok(())
}
