// A client of a real cluster that records what it asked and was told, for the linearizability checker. One
// thread each; histories of one machine's clients may be put together, for they share a clock.
#pragma once

#include "gateway/client/client.hpp"
#include "tests/linearizability/history.hpp"

namespace dkv::e2e {

class RecordingClient {
 public:
  /// `number` is for people who read the history.
  RecordingClient(std::uint32_t number, ClientOptions options);

  linear::Outcome get(const std::string& key);
  linear::Outcome put(const std::string& key, const std::string& value);
  linear::Outcome remove(const std::string& key);

  const linear::History& history() const { return history_; }

 private:
  linear::Outcome run(OpCode code, const std::string& key, const std::string& value);

  std::uint32_t number_;
  Client client_;
  linear::History history_;
};

}  // namespace dkv::e2e
