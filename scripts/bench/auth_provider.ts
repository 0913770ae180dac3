// Two OAuth servers, one whose tokens are asked about and one whose tokens are JWTs, and whoever gets
// /introspection?count=N or /jwt?count=N of a third address has N tokens that nobody has seen. A
// process of its own: it must not share the client's event loop, nor its permissions.
import { OAuthServer } from "../../tests/oauth/provider.ts";

const [id, secret, scope] = Deno.args as [string, string, string];
const servers = [{ id, secret, scope }];
const introspection = await OAuthServer.start({ shape: "plain", servers });
const jwt = await OAuthServer.start({ shape: "plain", jwt: true, servers });
const provider = (path: string) => path === "/jwt" ? jwt : introspection;

const mint = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
  const { pathname, searchParams } = new URL(request.url);
  const tokens = Array.from(
    { length: Number(searchParams.get("count")) },
    () => provider(pathname).token({ user: "alice@anl.gov", server: id, audience: id }),
  );
  return Response.json(await Promise.all(tokens));
});
console.log(`listening on ${introspection.url} ${jwt.url} http://127.0.0.1:${mint.addr.port}`);
