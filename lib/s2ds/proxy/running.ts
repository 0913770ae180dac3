import { ScistreamError } from "../../protocol/errors.ts";
import { gist } from "./gist.ts";
import type { Job, Runner, RunningProxy } from "./proxy.ts";
import { place } from "./session_files.ts";

/** A session's proxy, wherever it runs; `signal` ends what is waited for. */
export function runningProxy(runner: Runner, job: Job, signal: AbortSignal): RunningProxy {
  const { name } = job.proxy;
  return {
    run: runner.isHere ? `${job.folder}/run` : undefined,
    replace(file) {
      place(job.folder, file);
      return runner.deliver(job);
    },
    signal: (each) => runner.signal(job, each),
    async signalUntil(each, see, againMs) {
      const done = Promise.withResolvers<void>();
      const stop = new AbortController();
      const lines: string[] = [];
      const again = () => {
        runner.signal(job, each).catch(() => {
          // It is being restarted, and will be asked again.
        });
      };
      const timer = againMs === undefined ? undefined : setInterval(again, againMs);
      const late = () =>
        done.reject(
          new ScistreamError(
            "CONN_ERROR",
            `${name} does not answer ${each}; ${gist(lines, job)}`,
          ),
        );
      signal.addEventListener("abort", late, { once: true });
      const onLine = (line: string) => {
        lines.push(line);
        try {
          const seen = see(lines);
          if (seen === "done") done.resolve();
          else if (seen === "again") runner.signal(job, each).catch(done.reject);
        } catch (error) {
          done.reject(error);
        }
      };
      try {
        await runner.follow(job, onLine, stop.signal);
        await runner.signal(job, each);
        await done.promise;
      } finally {
        clearInterval(timer);
        done.promise.catch(() => {});
        signal.removeEventListener("abort", late);
        stop.abort();
      }
    },
  };
}
