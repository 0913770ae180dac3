/** Types of the part of @std/toml that is used here. */
export function parse(text: string): Record<string, unknown>;
