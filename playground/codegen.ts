import type { CodegenConfig } from '@graphql-codegen/cli';
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';

/** Types for every `.graphql` file of the pages and the kit; `npm run generate` writes them to `src/gql/`. */
const config: CodegenConfig = {
  schema: '../schema.graphql',
  documents: ['src/{kit,progress,admin,shared}/**/*.graphql'],
  generates: {
    './src/gql/': {
      preset: 'client',
      // The cache asks for the type of every object; with it, the documents are sent word for word as they are listed.
      documentTransforms: [addTypenameSelectionDocumentTransform],
      presetConfig: {
        fragmentMasking: { unmaskFunctionName: 'read' },
        persistedDocuments: { hashAlgorithm: 'sha256' },
      },
      config: {
        enumsAsTypes: true,
        skipTypename: true,
        useTypeImports: true,
        strictScalars: true,
        scalars: { BigInt: 'number', Credits: 'string', DateTime: 'string', JSON: 'unknown' },
      },
    },
  },
};

export default config;
