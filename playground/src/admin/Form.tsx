import type { ReactNode } from 'react';

/** A form that hands over what was filled in, and is empty again once that was taken. */
export function Form({ title, action, busy, onSubmit, children, isDangerous = false }: {
  title: string;
  action: string;
  busy: boolean;
  /** Says whether it was done. */
  onSubmit: (values: FormData) => Promise<boolean>;
  children?: ReactNode;
  isDangerous?: boolean;
}) {
  const submit = async (form: HTMLFormElement) => {
    if (await onSubmit(new FormData(form))) form.reset();
  };
  return (
    <form className="action" aria-label={title} onSubmit={(event) => { event.preventDefault(); void submit(event.currentTarget); }}>
      <h3>{title}</h3>
      {children}
      <button type="submit" className={isDangerous ? 'button danger' : 'button'} disabled={busy}>{action}</button>
    </form>
  );
}

/** One field with its label. */
export function Field({ label, name, ...input }: { label: string; name: string } & Omit<React.ComponentProps<'input'>, 'name'>) {
  return <label className="field">{label}<input name={name} autoComplete="off" {...input} /></label>;
}

/** The text of a field, without the blanks around it. */
export function textOf(values: FormData, name: string): string {
  const value = values.get(name);
  return typeof value === 'string' ? value.trim() : '';
}
