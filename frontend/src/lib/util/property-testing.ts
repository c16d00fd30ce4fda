/** Configures fast-check with a fixed seed. Tests import it from here. */
import fc from 'fast-check';

// With a fixed seed, a test can't fail by a change that has nothing to do with it. A long run (`scripts/test long`) uses random seeds and reports
// them.
if (!process.env.NATTER_TEST_LONG) fc.configureGlobal({ seed: 20_261_126 });

export default fc;
