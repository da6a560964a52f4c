import { useEffect, useState } from 'react';

const DELAY_MS = 200;

/** A value that follows another one once that rests: what is typed is asked for when it is written. */
export function useDelayed<T>(value: T): T {
  const [delayed, setDelayed] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setDelayed(value), DELAY_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return delayed;
}
