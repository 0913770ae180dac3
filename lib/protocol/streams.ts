/**
 * The HTTP/2 streams under grpc-js, which tells of a call only when all of its message is there: who
 * opens many and never gets so far is seen here. Its own HTTP/2 servers and their options are private
 * to it; no option of its own does any of this.
 * @module
 */
import type * as grpc from "@grpc/grpc-js";
import type {
  Http2Server,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
} from "node:http2";

/** Of grpc-js 1.14, what it keeps to itself. */
interface Private {
  commonServerOptions: { maxHeaderListPairs?: number };
  http2Servers: Map<Http2Server, unknown>;
}

type StreamListener = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/**
 * Header fields of one call; ours have ten. A field that the other end has had remembered costs it one
 * byte, and the server up to 4 kB.
 */
const MOST_FIELDS = 32;

/** Bounds the header fields of calls, for HTTP/2 servers that are made from now on. */
export function boundFields(server: grpc.Server): void {
  (server as unknown as Private).commonServerOptions.maxHeaderListPairs = MOST_FIELDS;
}

/** What can be asked of an HTTP/2 session. */
export interface SessionCounts {
  /** How many streams there have been. */
  streams: () => number;
  /** Bytes that have been sent, before TLS if there is any. */
  sent: () => number;
  /** Tells of whatever has been read. */
  onRead: (tell: () => void) => void;
}

/** What is seen; a peer is `ip:port`. */
export interface StreamEvents {
  /** HTTP/2 is spoken on a connection. */
  onSession: (peer: string, counts: SessionCounts) => void;
  /** A stream came, with header fields of so many bytes in all. */
  onStream: (peer: string, bytes: number) => void;
  /** A message was too long, and refused by grpc-js. */
  onLongMessage: (peer: string) => void;
}

/** Stands before grpc-js at the HTTP/2 server that it made last. */
export function watchStreams(
  server: grpc.Server,
  { onSession, onStream, onLongMessage }: StreamEvents,
): void {
  const http2 = [...(server as unknown as Private).http2Servers.keys()].at(-1);
  if (!http2) return;
  http2.on("session", (session: ServerHttp2Session) => {
    session.on("error", () => {});
    // Clients number their streams 1, 3, 5 and so on.
    onSession(peerOf(session), {
      streams: () => session.destroyed ? 0 : Math.ceil((session.state.lastProcStreamID ?? 0) / 2),
      sent: () => session.destroyed ? 0 : session.socket.bytesWritten,
      onRead: (tell) => session.socket.on("data", tell),
    });
  });
  const behind = http2.listeners("stream") as unknown as StreamListener[];
  http2.removeAllListeners("stream");
  http2.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    // An error is followed by its end. grpc-js listens too, but for the first only.
    stream.on("error", () => {});
    const peer = peerOf(stream.session);
    onStream(peer, sizeOf(headers));
    watchAnswer(stream, () => onLongMessage(peer));
    // grpc-js would answer a stream that is gone, which throws where nobody catches it.
    if (stream.destroyed) return;
    refuseCompression(headers);
    for (const listener of behind) listener.call(http2, stream, headers);
  });
}

function peerOf(session: ServerHttp2Stream["session"]): string {
  const socket = session?.socket;
  return `${socket?.remoteAddress}:${socket?.remotePort}`;
}

/**
 * Tells when grpc-js refuses a message for its length: with nothing but a status and this sentence,
 * before any handler hears of the call. Such a stream may stay half open, so its end tells nothing.
 */
function watchAnswer(stream: ServerHttp2Stream, onLongMessage: () => void): void {
  const respond = stream.respond;
  stream.respond = (headers, options) => {
    const said = (headers as OutgoingHttpHeaders | undefined)?.["grpc-message"];
    if (/^Received%20message%20larger/.test(String(said ?? ""))) onLongMessage();
    respond.call(stream, headers, options);
  };
}

function sizeOf(headers: IncomingHttpHeaders): number {
  return Object.entries(headers)
    .reduce((sum, [name, value]) => sum + name.length + String(value).length, 0);
}

/**
 * A compressed message is answered UNIMPLEMENTED, as gRPC has it for what a server does not offer:
 * grpc-js would unpack all at once, and 4 kB become 4 MB.
 */
function refuseCompression(headers: IncomingHttpHeaders): void {
  const encoding = headers["grpc-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    headers["grpc-encoding"] = `${encoding}; this control server takes none`;
  }
}
