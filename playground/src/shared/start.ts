import { ANONYMOUS_CONFIG, loadConfig } from './config';
import { Session } from './session';

/** The session of a page whose visitors most likely are `preferred`. Without the server's word, everybody is anonymous. */
export async function sessionFor(preferred: string): Promise<Session> {
  const config = await loadConfig().catch(() => ANONYMOUS_CONFIG);
  return new Session(config, sessionStorage, preferred);
}
