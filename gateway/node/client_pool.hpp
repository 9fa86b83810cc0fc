// Clients of the node's own cluster, for requests whose keys live on other nodes too. As many as are used at
// the same time, up to a limit; who finds none free waits.
#pragma once

#include <condition_variable>
#include <mutex>
#include <vector>

#include "gateway/client/client.hpp"

namespace dkv {

class ClientPool {
 public:
  ClientPool(ClientOptions options, std::size_t most) : options_(std::move(options)), most_(most) {}

  /// One result for each operation; overloaded when no client becomes free within the deadline. From any
  /// thread, many at once.
  std::vector<OperationResult> execute(const rpc::Request& request);
  Result<ScanResult> scan(const ScanOptions& options);

 private:
  /// What `call` returns of a client, or nothing when none became free.
  template <class Call>
  auto with_client(const Call& call) -> std::optional<decltype(call(std::declval<Client&>()))>;
  std::optional<Client> take();
  void give_back(std::optional<Client> client);

  const ClientOptions options_;
  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<Client> free_;
  std::size_t made_ = 0;
};

}  // namespace dkv
