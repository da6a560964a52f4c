/** What `viewer` says of a credential. */
export interface Viewer {
  readonly kind: 'ANONYMOUS' | 'USER' | 'APP';
  readonly scopes: readonly string[];
  readonly user?: { readonly handle: string } | null;
}

/** What a credential allows, in one sentence. */
export function allowed({ kind, scopes, user }: Viewer): string {
  if (kind === 'ANONYMOUS') return 'reads the catalogue and public profiles';
  if (kind === 'USER') {
    return user == null
      ? 'is somebody of whom nothing is recorded yet'
      : 'reads and changes what is one’s own, and sees the public side of others';
  }
  if (scopes.includes('ADMIN')) return 'may do everything';
  if (scopes.includes('PROGRESS_WRITE')) return 'reads and records everybody’s progress';
  return scopes.includes('PROGRESS_READ') ? 'reads everybody’s progress' : 'reads the catalogue and public profiles';
}
