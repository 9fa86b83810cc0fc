// A data folder in memory: for the log of a volatile shard, so that it is the same code as any other. Nothing
// outlives it, and nothing waits.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "actors/runtime/disk.hpp"

namespace dkv {

class MemoryDisk final : public Disk {
 public:
  Result<std::vector<std::string>> list() const override;
  Result<std::unique_ptr<File>> open(const std::string& name, bool create) override;
  Result<void> rename(const std::string& from, const std::string& to) override;
  Result<void> remove(const std::string& name) override;

 private:
  std::map<std::string, std::shared_ptr<std::string>> files_;  // shared with those who have them open
};

}  // namespace dkv
