// What a test may break in the register, to see that it would be noticed.
#pragma once

namespace dkv {

/// All true in the product.
struct RegisterRules {
  bool persist_promises = true;    // a promise is on disk before it is answered
  bool tell_folders_apart = true;  // a keeper counts only with the folder that the topology names
  bool need_majority = true;       // of the keepers, in each phase
  bool fresh_ballots = true;       // a ballot is used once, over restarts too
};

}  // namespace dkv
