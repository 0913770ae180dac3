/**
 * The pages that a user's browser may end at.
 * @module
 */
import type { Context, Next } from "./oidc_provider.ts";

/** Where {@link showCode} answers. */
export const CODE_PAGE = "/v2/web/auth-code";

/** The page that shows a code to be copied, as Globus has one. */
export async function showCode(ctx: Context, next: Next): Promise<void> {
  if (ctx.path !== CODE_PAGE) return await next();
  const { code, error, error_description } = ctx.query;
  ctx.type = "html";
  ctx.body = `<!DOCTYPE html><title>Code</title>` +
    (code
      ? `<p>Paste this code:</p><code id="code">${escape(code)}</code>`
      : `<p id="error">${escape(`${error}: ${error_description}`)}</p>`);
}

/** What went wrong where the user cannot be sent back, with the details that clients are not told. */
export function showError(
  ctx: Context,
  shown: Record<string, string>,
  error: { error_detail?: string },
): void {
  ctx.type = "html";
  const { error_detail = "" } = error;
  const lines = Object.entries({ ...shown, error_detail });
  ctx.body = `<!DOCTYPE html><title>Error</title>` +
    lines.map(([name, text]) => `<p>${name}: ${escape(text)}</p>`).join("");
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
