// Folders of the files that the service worker doesn't load in advance: those of one language, and large ones that few people need. All other
// files of the build are in the folders that SvelteKit chooses.

/** Modules that only one language needs: its messages, the names of emoji groups, and its parser of times. */
const LANGUAGE = /\/(?:paraglide\/groups\/\w+\/|emojibase-data\/|chrono-node\/.*\/locales\/)(\w\w)(?:\.js$|\/)/;
/** Libraries that are large and rarely needed: formulas, and the words by which the strength of a password is estimated. */
const RARE = /\/node_modules\/(katex|@zxcvbn-ts)\//;

/** Folder of a file with these modules; undefined for that of most files. */
export function folderOf(moduleIds) {
  const languages = new Set(moduleIds.map((id) => LANGUAGE.exec(id)?.[1]));
  const [language] = languages;
  if (language && languages.size === 1) return `languages/${language}`;
  return moduleIds.some((id) => RARE.test(id)) ? 'rare' : undefined;
}

export const chunkNames = {
  name: 'natter:chunk-names',
  applyToEnvironment: (environment) => environment.name === 'client',
  outputOptions(options) {
    const { chunkFileNames } = options;
    return {
      ...options,
      chunkFileNames(chunk) {
        const name = chunkFileNames(chunk);
        const folder = folderOf(chunk.moduleIds);
        return folder ? name.replace('/chunks/', `/${folder}/`) : name;
      }
    };
  }
};
