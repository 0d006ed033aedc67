//! The text of PTX as `program.rs` has it. Knows the words that NVIDIA's compiler makes of this project's kernels, and refuses
//! others by their name.

use super::{
    arithmetic,
    memory::{CONSTANTS, SHARED},
    program::{Address, Guard, Guarded, Half, Kernel, Module, Place, Register, Space, Step},
};
use std::collections::HashMap;

/// Reads a module.
pub(super) fn module(text: &str) -> Result<Module, String> {
    let mut module = Module::default();
    let mut constants = HashMap::new();
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line.split("//").next().unwrap_or("").trim()));
    while let Some((number, line)) = lines.next() {
        if line.starts_with(".global") {
            constant(line, &mut module.constants, &mut constants).map_err(|why| format!("line {number}: {why}"))?;
        } else if let Some((_, name)) = line.split_once(".entry ") {
            let name = name.trim_end_matches(['(', ' ']).to_owned();
            let kernel = kernel(&mut lines, &constants).map_err(|why| format!("{name}: {why}"))?;
            module.kernels.insert(name, kernel);
        }
    }
    Ok(module)
}

/// `.global .align 4 .b32 name[2] = {1, 2};`: its bytes, and where they are.
fn constant(line: &str, bytes: &mut Vec<u8>, places: &mut HashMap<String, u64>) -> Result<(), String> {
    let (left, right) = line.trim_end_matches(';').split_once('=').unwrap_or((line.trim_end_matches(';'), ""));
    let words: Vec<&str> = left.split_whitespace().collect();
    let (name, ty) = match words[..] {
        [.., ty, name] => (name.split('[').next().unwrap_or(name), ty),
        _ => return Err(format!("a constant without a name: {line}")),
    };
    let size = size_of_type(ty.trim_start_matches('.')).ok_or_else(|| format!("a constant of type {ty}"))?;
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    places.insert(name.to_owned(), CONSTANTS + bytes.len() as u64);
    for value in right.split(['{', '}', ',']).map(str::trim).filter(|value| !value.is_empty()) {
        let value = number(value).ok_or_else(|| format!("a constant of value {value}"))?;
        bytes.extend_from_slice(&value.to_le_bytes()[..size]);
    }
    Ok(())
}

/// Bytes of a type.
fn size_of_type(ty: &str) -> Option<usize> {
    let bits: usize = ty.trim_start_matches(|c: char| c.is_ascii_alphabetic()).parse().ok()?;
    Some(bits / 8)
}

/// A number as it stands in the text: whole, or the bits of a float.
fn number(text: &str) -> Option<u64> {
    if let Some(bits) = text.strip_prefix("0f").or_else(|| text.strip_prefix("0d")).or_else(|| text.strip_prefix("0x")) {
        return u64::from_str_radix(bits, 16).ok();
    }
    text.parse::<i64>().map(|value| value as u64).or_else(|_| text.parse::<u64>()).ok()
}

/// `.shared .align 16 .b8 name[1024]` or `.param ...`: the name and its bytes.
fn declared(line: &str) -> Result<(String, usize), String> {
    let (left, bytes) = line.split_once('[').ok_or_else(|| format!("memory without a size: {line}"))?;
    let name = left.split_whitespace().last().unwrap_or("").to_owned();
    let bytes =
        bytes.split(']').next().and_then(|bytes| bytes.parse().ok()).ok_or_else(|| format!("memory of no size: {line}"))?;
    if left.contains(".b8") { Ok((name, bytes)) } else { Err(format!("memory of something else than bytes: {line}")) }
}

/// The rest of a kernel, from its parameter on.
fn kernel<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>, constants: &HashMap<String, u64>) -> Result<Kernel, String> {
    let mut reader = Reader { memory: constants.clone(), ..Reader::default() };
    for (_, line) in lines.by_ref().take_while(|(_, line)| *line != "{") {
        if line.starts_with(".param") {
            let (name, bytes) = declared(line)?;
            if reader.kernel.args > 0 {
                return Err("more arguments than one".to_owned());
            }
            reader.kernel.args = bytes;
            reader.memory.insert(name, 0);
        }
    }
    // Blocks within are for names of registers only, which are written there before they are read.
    let mut depth = 1;
    for (number, line) in lines {
        match line {
            "{" => depth += 1,
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            _ => {
                let inner = line.strip_prefix('{').map_or(line, |inner| inner.trim_end_matches('}'));
                reader.statement(inner.trim(), number).map_err(|why| format!("line {number}: {why}"))?;
            }
        }
    }
    reader.finish()
}

/// A kernel that is being read.
#[derive(Debug, Default)]
struct Reader {
    kernel: Kernel,
    /// Names of registers, or what they begin with before their numbers.
    declared: Vec<String>,
    registers: HashMap<String, Register>,
    numbers: HashMap<u64, Register>,
    places: HashMap<Place, Register>,
    /// Where the names of memory are.
    memory: HashMap<String, u64>,
    labels: HashMap<String, usize>,
    /// Branches whose labels may come later: the step, and the label.
    branches: Vec<(usize, String)>,
}

impl Reader {
    fn finish(mut self) -> Result<Kernel, String> {
        for (step, label) in self.branches {
            let to = self.labels.get(&label).ok_or_else(|| format!("there is no {label}"))?;
            self.kernel.steps[step].step = Step::Branch(*to);
        }
        Ok(self.kernel)
    }

    fn fresh(&mut self) -> Register {
        self.kernel.registers += 1;
        self.kernel.registers - 1
    }

    /// The register of an operand, whatever it is.
    fn register(&mut self, text: &str) -> Result<Register, String> {
        let place = match text {
            "%tid.x" => Some(Place::Thread),
            "%ctaid.x" => Some(Place::BlockAcross),
            "%ctaid.y" => Some(Place::BlockDown),
            _ => None,
        };
        if let Some(place) = place {
            if let Some(known) = self.places.get(&place) {
                return Ok(*known);
            }
            let register = self.fresh();
            self.places.insert(place, register);
            self.kernel.places.push((register, place));
            return Ok(register);
        }
        if text.starts_with('%') && !text.contains('.') {
            if let Some(known) = self.registers.get(text) {
                return Ok(*known);
            }
            let stem = text.trim_end_matches(|c: char| c.is_ascii_digit());
            if !self.declared.iter().any(|name| name == text || name.strip_suffix('<') == Some(stem)) {
                return Err(format!("no register is called {text}"));
            }
            let register = self.fresh();
            self.registers.insert(text.to_owned(), register);
            return Ok(register);
        }
        let value =
            number(text).or_else(|| self.memory.get(text).copied()).ok_or_else(|| format!("no operand is called {text}"))?;
        if let Some(known) = self.numbers.get(&value) {
            return Ok(*known);
        }
        let register = self.fresh();
        self.numbers.insert(value, register);
        self.kernel.numbers.push((register, value));
        Ok(register)
    }

    fn all(&mut self, texts: &[&str]) -> Result<Vec<Register>, String> {
        texts.iter().map(|text| self.register(text)).collect()
    }

    fn some<const COUNT: usize>(&mut self, texts: &[&str]) -> Result<[Register; COUNT], String> {
        let found = self.all(texts)?;
        found.try_into().map_err(|found: Vec<Register>| format!("{} registers where {COUNT} are expected", found.len()))
    }

    /// `[%rd1+-4]`
    fn address(&mut self, text: &str) -> Result<Address, String> {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        let inner = inner.ok_or_else(|| format!("{text} is no address"))?;
        let (base, offset) = inner.split_once('+').unwrap_or((inner, "0"));
        let offset = offset.parse().map_err(|_| format!("{text} is no address"))?;
        Ok(Address { register: self.register(base)?, offset })
    }

    fn statement(&mut self, text: &str, line: usize) -> Result<(), String> {
        let text = text.trim_end_matches(';').trim();
        if text.is_empty() || text.starts_with(".pragma") {
            return Ok(());
        }
        if text.starts_with(".reg") {
            // `%r<12>` are `%r0` to `%r11`.
            let name = text.split_whitespace().last().unwrap_or_default();
            self.declared.push(name.find('<').map_or(name, |at| &name[..=at]).to_owned());
            return Ok(());
        }
        if let Some(label) = text.strip_suffix(':') {
            self.labels.insert(label.to_owned(), self.kernel.steps.len());
            return Ok(());
        }
        if text.starts_with(".shared") {
            let (name, bytes) = declared(text)?;
            let at = self.kernel.shared.next_multiple_of(256);
            self.kernel.shared = at + bytes;
            self.memory.insert(name, SHARED + at as u64);
            return Ok(());
        }
        if text.starts_with(".local") {
            let (name, bytes) = declared(text)?;
            if self.kernel.local > 0 {
                return Err("more than one piece of a thread's own memory".to_owned());
            }
            self.kernel.local = bytes;
            self.memory.insert(name, 0);
            return Ok(());
        }
        let (guard, text) = match text.strip_prefix('@') {
            None => (None, text),
            Some(rest) => {
                let (register, rest) = rest.split_once(char::is_whitespace).ok_or("a guard of nothing")?;
                let name = register.trim_start_matches('!');
                (Some(Guard { register: self.register(name)?, negated: name.len() < register.len() }), rest.trim())
            }
        };
        let (name, operands) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let step = self.step(name, &Operands(operands_of(operands)))?;
        self.kernel.steps.push(Guarded { guard, step, line });
        Ok(())
    }

    /// An instruction and its operands.
    fn step(&mut self, name: &str, operands: &Operands<'_>) -> Result<Step, String> {
        let parts: Vec<&str> = name.split('.').collect();
        Ok(match parts[..] {
            ["bra", ..] => {
                self.branches.push((self.kernel.steps.len(), operands.one(0)?.to_owned()));
                Step::Branch(usize::MAX)
            }
            ["ret"] => Step::Return,
            ["bar", "sync"] if operands.0.len() == 1 && operands.one(0)? == "0" => Step::Barrier,
            ["bar", "warp", "sync"] if operands.one(0)? == "-1" => Step::Gather,
            ["ld", space, .., ty] if !matches!(ty, "s8" | "s16") => {
                let (space, bytes) = (named_space(space)?, bytes_of(ty)?);
                Step::Load { space, bytes, to: self.all(operands.several(0)?)?, at: self.address(operands.one(1)?)? }
            }
            ["st", space, .., ty] => {
                let (space, bytes) = (named_space(space)?, bytes_of(ty)?);
                Step::Store { space, bytes, at: self.address(operands.one(0)?)?, from: self.all(operands.several(1)?)? }
            }
            ["atom", "shared", "add", "u32"] => Step::Add {
                to: self.register(operands.one(0)?)?,
                at: self.address(operands.one(1)?)?,
                value: self.register(operands.one(2)?)?,
            },
            ["mov", ty] if operands.several(0)?.len() == 2 => Step::Split {
                to: self.some(operands.several(0)?)?,
                from: self.register(operands.one(1)?)?,
                bits: 4 * bytes_of(ty)? as u32,
            },
            ["mov", ty] if operands.several(1)?.len() == 2 => Step::Join {
                to: self.register(operands.one(0)?)?,
                from: self.some(operands.several(1)?)?,
                bits: 4 * bytes_of(ty)? as u32,
            },
            ["bfi", _] => {
                let small =
                    |i: usize| number(operands.one(i)?).and_then(|n| u32::try_from(n).ok()).ok_or("bits at no number".to_owned());
                let from = [self.register(operands.one(1)?)?, self.register(operands.one(2)?)?];
                Step::Insert { to: self.register(operands.one(0)?)?, from, at: small(3)?, bits: small(4)? }
            }
            ["shfl" | "mma" | "ldmatrix" | "cp", ..] => self.step_of_warp(&parts, operands)?,
            _ => {
                let run = arithmetic::named(name).filter(|_| (2..=4).contains(&operands.0.len()));
                let run = run.ok_or_else(|| format!("{name} is not known"))?;
                let to = self.register(operands.one(0)?)?;
                let mut from = [to; 3];
                for (i, from) in from.iter_mut().enumerate().take(operands.0.len() - 1) {
                    *from = self.register(operands.one(i + 1)?)?;
                }
                Step::Compute { run, to, from }
            }
        })
    }

    /// The same of what a warp does together, and of copies to shared memory.
    fn step_of_warp(&mut self, parts: &[&str], operands: &Operands<'_>) -> Result<Step, String> {
        Ok(match parts {
            ["shfl", "sync", "bfly", "b32"] => {
                let to = operands.one(0)?.split('|').next().unwrap_or_default();
                let [to, from, bits, last, members] =
                    self.some(&[to, operands.one(1)?, operands.one(2)?, operands.one(3)?, operands.one(4)?])?;
                Step::ShuffleXor { to, from, bits, among: [last, members] }
            }
            ["mma", "sync", "aligned", "m16n8k16", "row", "col", "f32", half, other, "f32"] if half == other => Step::Multiply {
                half: if *half == "f16" { Half::F16 } else { Half::Bf16 },
                to: self.some(operands.several(0)?)?,
                a: self.some(operands.several(1)?)?,
                b: self.some(operands.several(2)?)?,
                sums: self.some(operands.several(3)?)?,
            },
            ["ldmatrix", "sync", "aligned", "m8n8", "x4", turned @ .., "shared", "b16"] => Step::LoadMatrices {
                to: self.some(operands.several(0)?)?,
                at: self.address(operands.one(1)?)?,
                turned: *turned == ["trans"],
            },
            ["cp", "async", "cg", "shared", "global"] if operands.one(2)? == "16" => Step::Copy {
                to: self.address(operands.one(0)?)?,
                from: self.address(operands.one(1)?)?,
                bytes: self.register(operands.one(3)?)?,
            },
            ["cp", "async", "commit_group"] => Step::EndCopies,
            ["cp", "async", "wait_group"] => {
                Step::WaitForCopies { left: number(operands.one(0)?).ok_or("a wait for no number of groups")? }
            }
            _ => return Err(format!("{} is not known", parts.join("."))),
        })
    }
}

/// Operands of an instruction: each as one name, or several where they stand in braces.
#[derive(Debug)]
struct Operands<'a>(Vec<Vec<&'a str>>);

impl<'a> Operands<'a> {
    fn one(&self, i: usize) -> Result<&'a str, String> {
        match self.several(i)? {
            [only] => Ok(only),
            _ => Err(format!("operand {i} is several")),
        }
    }

    fn several(&self, i: usize) -> Result<&[&'a str], String> {
        self.0.get(i).map(Vec::as_slice).ok_or_else(|| format!("operand {i} is missing"))
    }
}

/// `{%r1, %r2}, [%rd1]` as its two operands.
fn operands_of(text: &str) -> Vec<Vec<&str>> {
    let mut operands = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (operand, after) = match rest.strip_prefix('{') {
            Some(inner) => {
                let (inside, after) = inner.split_once('}').unwrap_or((inner, ""));
                (inside.split(',').map(str::trim).collect(), after)
            }
            None => {
                let (operand, after) = rest.split_at(rest.find(',').unwrap_or(rest.len()));
                (vec![operand.trim()], after)
            }
        };
        operands.push(operand);
        rest = after.trim_start_matches(',').trim();
    }
    operands
}

fn named_space(name: &str) -> Result<Space, String> {
    match name {
        "global" => Ok(Space::Global),
        "shared" => Ok(Space::Shared),
        "local" => Ok(Space::Local),
        "param" => Ok(Space::Param),
        _ => Err(format!("there is no memory called {name}")),
    }
}

fn bytes_of(ty: &str) -> Result<usize, String> {
    size_of_type(ty).ok_or_else(|| format!("{ty} is no type with a size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_are_told_apart() {
        let found = operands_of("{%r1, %r2}, [%rd1+-8], 16, %p1");
        assert_eq!(found, [vec!["%r1", "%r2"], vec!["[%rd1+-8]"], vec!["16"], vec!["%p1"]]);
        assert!(operands_of("").is_empty());
        assert_eq!(number("0f3FB8AA3B"), Some(0x3FB8_AA3B));
        assert_eq!(number("-1"), Some(u64::MAX));
        assert_eq!(number("18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn what_is_not_known_is_named() {
        let text = ".visible .entry small(\n.param .align 8 .b8 small_param_0[16]\n)\n{\n.reg .b32 %r<2>;\nbrev.b32 %r1, 7;\n}\n";
        let why = module(text).unwrap_err();
        assert!(why.contains("small") && why.contains("line 6") && why.contains("brev.b32 is not known"), "{why}");
        let known = module(&text.replace("brev", "not")).unwrap();
        assert_eq!((known.kernels["small"].args, known.kernels["small"].steps.len()), (16, 1));
        assert!(
            module(&text.replace("brev.b32 %r1, 7", "mov.u32 %r1, %laneid"))
                .unwrap_err()
                .contains("no register is called %laneid")
        );
        assert!(module(&text.replace("brev.b32 %r1, 7", "bra $L_1")).unwrap_err().contains("there is no $L_1"));
    }
}
