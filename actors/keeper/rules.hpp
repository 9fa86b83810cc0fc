// What a test may break in the register, to see that it would be noticed.
#pragma once

namespace dkv {

/// All true in the product.
struct RegisterRules {
  bool persist_promises = true;    // what is promised or accepted is on disk before it is answered
  bool tell_folders_apart = true;  // a keeper counts only with the folder that the topology names
  bool need_majority = true;       // of the keepers, in each phase
  bool fresh_ballots = true;       // a ballot is used once, over restarts too
  bool read_at_start = true;       // R11: nobody is told anything before this process's own full round
  bool exact_change = true;        // R12: a change is made from the state that it was made for, or not at all
};

}  // namespace dkv
