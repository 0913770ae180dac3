/** A line on the terminal that shows how long something has been waited for. */
export interface Progress {
  stop(): void;
}

/**
 * Draws `text` and the seconds since now, once a second, until stopped; then wipes it.
 * @param draw writes to the terminal; nothing is drawn where it is undefined
 */
export function waiting(text: string, draw: ((text: string) => void) | undefined): Progress {
  if (!draw) return { stop() {} };
  const start = Date.now();
  const show = () => draw(`\r${text} ${Math.round((Date.now() - start) / 1000)} s `);
  show();
  const timer = setInterval(show, 1000);
  return {
    stop() {
      clearInterval(timer);
      draw("\r\x1b[K");
    },
  };
}
