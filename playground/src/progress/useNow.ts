import { useEffect, useState } from 'react';

const TICK_MS = 10_000;

/** The server's time in milliseconds, moving on while the page is open; `read` is what the server last said. */
export function useNow(read: string | undefined): number {
  const [passed, setPassed] = useState(0);
  useEffect(() => {
    const since = performance.now();
    setPassed(0);
    const timer = setInterval(() => setPassed(performance.now() - since), TICK_MS);
    return () => clearInterval(timer);
  }, [read]);
  return (read === undefined ? Date.now() : Date.parse(read)) + passed;
}
