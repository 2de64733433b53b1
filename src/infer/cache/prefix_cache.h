#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "infer/cache/page_pool.h"
#include "infer/cache/prefix_store.h"
#include "infer/cache/prefix_tree.h"

namespace fathom {

// The memory behind the pages' numbers.
class PageMemory {
 public:
  virtual ~PageMemory() = default;
  virtual int64_t pages() const = 0;
  virtual int64_t page_tokens() const = 0;
  virtual int64_t page_bytes() const = 0;
  virtual void CopyPage(int32_t from, int32_t to) = 0;
  virtual void ReadPage(int32_t page, std::span<std::byte> bytes) = 0;
  virtual void WritePage(int32_t page, std::span<const std::byte> bytes) = 0;
};

// The pages of one sequence. Made and changed by a PrefixCache, given back to it in the end.
struct CacheSequence {
  PrefixTree::Node* root = nullptr;
  // Those of positions [0, pages * page_tokens); whole ones may be shared, the last one is its own.
  std::vector<int32_t> pages;
  std::vector<PrefixTree::Node*> nodes;  // of each page; null: not in the tree (yet)
  PrefixTree::Node* tail = nullptr;      // a part of the last page that is in the tree already
  int64_t length = 0;                    // positions whose rows are in the pages
  int64_t taken_from_files = 0;          // positions whose rows came out of files, over its life
};

// Who has which pages: sequences under way, and the prefixes kept for later ones.
//
// Sharing. Whole pages are shared as they are: nobody writes to a whole page. Of a page that
// another text agrees with in part only (the end of a prompt that several answers go on from, a
// turn of a conversation), a copy is taken and written on: copying 64 rows costs about as much
// memory traffic as one token, computing them 64 times that. So a page that is written to has one
// writer, always. Whether rows were computed, shared, copied or read from a file has no influence
// on their bits: the numerics contract makes them a function of the tokens before them.
class PrefixCache {
 public:
  // model: what the rows are a function of besides the tokens (ModelIdentity), for the names of
  // files. store may be null. Both outlive this.
  PrefixCache(PageMemory& memory, std::string_view model, PrefixStore* store);
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  int64_t page_tokens() const { return page_tokens_; }
  int64_t Pages(int64_t tokens) const { return (tokens + page_tokens_ - 1) / page_tokens_; }
  int64_t pages() const { return pool_.size(); }
  // Pages that a sequence can have: free, or kept for nobody yet.
  int64_t available() const { return pool_.free() + tree_.evictable(); }
  const PagePool& pool() const { return pool_; }
  const PrefixTree& tree() const { return tree_; }

  // A sequence without pages, among the prefixes of a salt.
  CacheSequence Open(const std::string& salt);
  // Gives its pages back; what is in them stays cached until the room is needed. tokens: its own,
  // at least `length` of them.
  void Close(CacheSequence& sequence, std::span<const int32_t> tokens);

  // Takes rows of tokens [length, limit) that are cached, as far as they are: whole pages from
  // memory; with `all` also from files, and a copy of a page that agrees in part.
  void Extend(CacheSequence& sequence, std::span<const int32_t> tokens, int64_t limit, bool all);
  // Pages for positions [0, length); evicts what nobody uses. False, and nothing is changed, when
  // there are not enough.
  bool Reserve(CacheSequence& sequence, int64_t length);
  // Rows up to `length` have been computed (of what was reserved; fewer than were, when drafts were
  // rejected). Whole pages become shared; with `publish_tail` so does a copyable part of the last.
  void Commit(CacheSequence& sequence, std::span<const int32_t> tokens, int64_t length,
              bool publish_tail);
  // All pages back, as Close does, but the sequence goes on from nothing.
  void Release(CacheSequence& sequence, std::span<const int32_t> tokens);

  // Something that two sequences have in common exactly when the tokens up to the end of the page
  // under way (at most `limit`) are the same for both: whoever of them computes these makes them
  // available to the other.
  uint64_t UnitUnderWay(const CacheSequence& sequence, std::span<const int32_t> tokens,
                        int64_t limit) const;

 private:
  PrefixTree::Node* LastNode(const CacheSequence& sequence) const;
  std::span<const int32_t> PageTokens(std::span<const int32_t> tokens, size_t page) const;
  bool TakePage(int32_t* page);
  bool TakeFromStore(CacheSequence& sequence, std::span<const int32_t> tokens);
  void TakeCopy(CacheSequence& sequence, std::span<const int32_t> tokens, int64_t limit);
  void PublishTail(CacheSequence& sequence, std::span<const int32_t> tokens);
  const PrefixKey& KeyOf(PrefixTree::Node* node);

  PageMemory& memory_;
  std::string model_;
  PrefixStore* store_;
  int64_t page_tokens_;
  PagePool pool_;
  PrefixTree tree_;
};

}  // namespace fathom
