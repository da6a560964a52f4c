// Where tests write what generators make. What is made finds the packages from there; nothing of it is kept.

import { mkdir, mkdtemp } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

export const schemaFile = fileURLToPath(new URL('../../schema.graphql', import.meta.url))

export async function scratch(name) {
  const directory = fileURLToPath(new URL('.generated/', import.meta.url))
  await mkdir(directory, { recursive: true })
  return mkdtemp(`${directory}${name}-`)
}
