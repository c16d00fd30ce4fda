/** fast-check with fixed seeds; import it from here. */
import fc from 'fast-check';

// Fixed seed, so that unrelated changes don't fail. A long run (`scripts/test long`) explores and reports its seed.
if (!process.env.NATTER_TEST_LONG) fc.configureGlobal({ seed: 20_261_126 });

export default fc;
