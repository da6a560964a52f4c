import { createContext, type ReactNode, useContext, useState } from 'react';

import { hueOf } from '../shared/words';

/**
 * Says whether the picture at an address may be shown. Without a provider every picture is; a page whose policy names the hosts
 * of its pictures gives a function that knows them.
 */
export const PictureFilter = createContext<(address: string) => boolean>(() => true);

export interface PictureProps {
  address: string | null | undefined;
  className: string;
  /** What is shown without an address, and where the picture may not or cannot be loaded. */
  children: ReactNode;
}

/** The picture of something that is named beside it, or else what stands inside. */
export function Picture({ address, className, children }: PictureProps) {
  const isShown = useContext(PictureFilter);
  const [failed, setFailed] = useState<string>();
  if (address == null || address === failed || !isShown(address)) return children;
  return (
    <img className={`picture ${className}`} src={address} alt="" loading="lazy" decoding="async" referrerPolicy="no-referrer"
      onError={() => setFailed(address)} />
  );
}

/** A picture made of a name, always the same for the same name. */
export function Face({ name, className }: { name: string; className: string }) {
  const hue = hueOf(name);
  return (
    <svg className={className} viewBox="0 0 60 60" aria-hidden="true">
      <rect width="60" height="60" fill={`hsl(${hue} 52% 46%)`} />
      <path d="M0 42C15 28 42 58 60 36V60H0z" fill={`hsl(${(hue + 45) % 360} 55% 58%)`} fillOpacity=".7" />
      <path d="M30 9l18 10.500v21L30 51 12 40.500v-21zM30 9v42M12 19.500l36 21M48 19.500l-36 21" fill="none" stroke="#fff" strokeOpacity=".5"
        strokeWidth="1.500" transform={`rotate(${hue % 60} 30 30)`} />
    </svg>
  );
}
