/**
 * Asking the provider about each token (RFC 7662).
 * @module
 */
import * as oauth from "oauth4webapi";
import { ScistreamError } from "../protocol/errors.ts";
import type { Secret } from "../protocol/secret.ts";
import { whatProviderDid } from "./http.ts";
import { clientSecret, type Provider } from "./provider.ts";
import { type Expected, judge, ProvidersVerifier, type Verdict } from "./verifier.ts";

/** A control server's own client at the provider. */
export interface ServerClient {
  readonly id: string;
  readonly secret: Secret;
}

/** Introspects with the control server's own client. */
export class Introspection extends ProvidersVerifier {
  readonly #client: ServerClient;

  constructor(provider: Provider, client: ServerClient, expected: Expected) {
    super(provider, expected);
    this.#client = client;
  }

  override async verify(token: string): Promise<Verdict> {
    const metadata = await this.at.metadata();
    const { id, secret } = this.#client;
    const client: oauth.Client = { client_id: id };
    const response = await oauth.introspectionRequest(
      metadata,
      client,
      clientSecret(this.at, metadata, secret.reveal()),
      token,
      this.at.http.options,
    );
    if (response.status === 401) {
      throw new ScistreamError(
        "UNAVAILABLE",
        `it refuses this control server's client id and secret; check --client-id ${id} and its secret`,
      );
    }
    const answer = await oauth.processIntrospectionResponse(metadata, client, response);
    if (!answer.active) return { refused: "the provider says that it is not active" };
    return judge(answer, this.issuer, this.expected);
  }

  /**
   * Asks about a token that nobody has, so that a wrong secret is known when the server starts.
   * Answers why it could not be found out, if so.
   * @throws {ScistreamError} BAD_FORMAT when the provider refuses id and secret
   */
  async probe(): Promise<string | undefined> {
    try {
      await this.verify(crypto.randomUUID());
    } catch (error) {
      if (!(error instanceof ScistreamError)) return whatProviderDid(error);
      throw new ScistreamError("BAD_FORMAT", `${this.provider}: ${error.message}`);
    }
  }
}
