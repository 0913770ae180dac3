/**
 * SciStream: memory-to-memory streaming of scientific data between institutions.
 *
 * What the commands are made of, for programs that set up their own sessions. A
 * {@linkcode ControlClient} reaches a gateway; {@linkcode openSession} sets a session up at two of
 * them, {@linkcode openSide} at one, and both release it when it is disposed of.
 *
 * ```ts ignore
 * using prod = new ControlClient({ address: "192.168.10.11:5007", roots: prodCertificate });
 * using cons = new ControlClient({ address: "192.168.30.10:5007", roots: consCertificate });
 * await using session = await openSession({ prod, cons, receivers: ["192.168.10.10:5001"] });
 * console.log(`connect to ${session.listeners.join()}`);
 * for await (const { state } of session.cons.watch()) console.log(state);
 * ```
 *
 * Everything that waits takes an `AbortSignal`, and what goes wrong is a {@linkcode ScistreamError}
 * with a code. docs/library.md has whole programs; {@linkcode startS2cs} is a control server.
 *
 * ```ts
 * import { Endpoint, Uid } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const uid = Uid.random();
 * assertEquals(`${uid}`, `session ${uid.session}`); // a uid is a secret and never prints itself
 * assertEquals(Endpoint.parse("192.168.10.11:5007").port, 5007);
 * ```
 * @module
 */
export type * from "./proto/messages.ts";
export { type CallOptions, type ClientOptions, ControlClient } from "./lib/protocol/client.ts";
export type { Answer, Method, StreamMethod, UnaryMethod } from "./lib/protocol/codec.ts";
export { Endpoint, parseHost, parsePort } from "./lib/protocol/endpoint.ts";
export {
  ERROR_CODES,
  type ErrorCode,
  isErrorCode,
  ScistreamError,
  Status,
} from "./lib/protocol/errors.ts";
export { Secret } from "./lib/protocol/secret.ts";
export { Networks } from "./lib/protocol/cidr.ts";
export { MOCK_UID, Uid } from "./lib/protocol/uid.ts";
export {
  parseNumConn,
  parseRate,
  parseRole,
  PortRange,
  type Rate,
  RATE_POLICIES,
  type RatePolicy,
  type Role,
  type SessionRequest,
} from "./lib/protocol/values.ts";
export {
  inModule,
  type Level,
  LEVELS,
  type Levels,
  lineLog,
  type Log,
  type LogEntry,
  type LogFormat,
  type Module,
  MODULES,
  noLog,
} from "./lib/log.ts";
export { connect, type Connected, type ConnectOptions } from "./lib/s2uc/connect.ts";
export {
  type Address,
  type BothOptions,
  OpenSession,
  openSession,
  OpenSide,
  openSide,
  type SideOptions,
} from "./lib/s2uc/open.ts";
export { watchSession } from "./lib/s2uc/watch_session.ts";
export {
  isOver,
  listSessions,
  releaseAll,
  releaseNamed,
  type ReleaseOptions,
  releaseSession,
  requestSession,
  sayHello,
  sessionStatus,
  updateRate,
  updateSession,
  whoami,
} from "./lib/s2uc/requests.ts";
export { Authenticator, type AuthOptions, type Principal } from "./lib/auth/authenticator.ts";
export { type Claims, type Identity, Rules } from "./lib/auth/identity.ts";
export { type AuthSettings, openAuthenticator } from "./lib/auth/open.ts";
export type { HttpSettings } from "./lib/auth/http.ts";
export type { ProviderSettings } from "./lib/auth/provider.ts";
export type { Verdict, Verifier } from "./lib/auth/verifier.ts";
export type { Quotas } from "./lib/s2cs/owner.ts";
export { type Certificate, type CertificateOptions, makeCertificate } from "./lib/certificate.ts";
export { type S2cs, startS2cs } from "./lib/s2cs/server.ts";
export {
  type CallerLimits,
  type Changeable,
  LIMITS,
  type S2csOptions,
} from "./lib/s2cs/settings.ts";
export type { CallLimits } from "./lib/s2cs/call_limits.ts";
export type { ConnectionLimits, ServerLimits } from "./lib/protocol/limits.ts";
export type { ServerTls } from "./lib/protocol/server.ts";
export type { DockerHost, DockerTls, TcpHost, UnixHost } from "./lib/docker/host.ts";
export type { JanusAccess } from "./lib/janus/transport.ts";
export type { GatewayNode, ListenerHost } from "./lib/s2ds/data_server.ts";
export type { JanusSettings } from "./lib/s2ds/placed/janus/settings.ts";
export { type DataServerSettings, parseType } from "./lib/s2ds/types.ts";
export type { EngineName } from "./lib/s2ds/type_names.ts";
export type { PlacedSettings } from "./lib/s2ds/placed/placed.ts";
export type { ProxySettings } from "./lib/s2ds/proxy/proxied.ts";
export type { S2dsSettings, Wan } from "./lib/s2ds/s2ds.ts";
export type { Limits } from "./lib/s2ds/proxy/proxy.ts";
export type { StunnelCiphers } from "./lib/s2ds/stunnel.ts";
